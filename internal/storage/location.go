package storage

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The kinds of places.
const (
	schemeFile = "file"
	schemeS3   = "s3"
)

// Forms is how a location is written, for help and errors.
const Forms = "file:///PATH or s3://BUCKET[/PREFIX][?region=R&endpoint=E]"

// Location is a place for content, as a setting names it.
type Location struct {
	scheme string
	dir    string // of a file location
	bucket string
	prefix string // with a leading slash, or empty
	s3     s3Options
}

// s3Options are the parameters of an s3 location.
type s3Options struct {
	region, endpoint, publicEndpoint string
	addressing, storageClass         string
	encryption, encryptionKey        string
	caFile                           string
}

// parameters are the names that a location of S3 may have behind its '?', each
// with its place and its check.
func (o *s3Options) parameters() map[string]parameter {
	return map[string]parameter{
		"region":          {&o.region, matches(`^[a-z0-9-]{1,64}$`, "a region, such as eu-central-1")},
		"endpoint":        {&o.endpoint, isEndpoint},
		"public_endpoint": {&o.publicEndpoint, isEndpoint},
		"addressing":      {&o.addressing, oneOf("path", "virtual")},
		"storage_class":   {&o.storageClass, matches(`^[A-Z_]{1,32}$`, "a storage class, such as STANDARD_IA")},
		"encryption":      {&o.encryption, oneOf("AES256", "aws:kms")},
		"encryption_key":  {&o.encryptionKey, matches(`^[A-Za-z0-9:/_.-]{1,256}$`, "the ID of a KMS key")},
		"ca_file":         {&o.caFile, isAbsolute},
	}
}

type parameter struct {
	value *string
	check func(string) string // what it wants to be, where it is not
}

// FileLocation is a folder on this machine.
func FileLocation(dir string) Location { return Location{scheme: schemeFile, dir: dir} }

// ParseLocation reads a location. Its errors never repeat what might be a
// secret.
func ParseLocation(text string) (Location, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Location{}, invalid("it is no URL: write %s", Forms)
	case u.User != nil:
		return Location{}, invalid("credentials do not belong into it, since it is shown and logged: %s", credentialsHint)
	case u.Scheme == "":
		return Location{}, invalid("it has no scheme: write %s", Forms)
	case u.Fragment != "":
		return Location{}, invalid("it has a '#', which means nothing here: write %s", Forms)
	}
	switch u.Scheme {
	case schemeFile:
		return parseFile(u)
	case schemeS3:
		return parseS3(u)
	case "gs", "gcs":
		return Location{}, invalid("this build has no driver of its own for %s://: reach Google's buckets through their S3 interface, s3://BUCKET?endpoint=storage.googleapis.com with an HMAC key", u.Scheme)
	case "azure", "azblob", "abfs", "abfss":
		return Location{}, invalid("this build has no driver of its own for %s://: reach Azure's containers through a gateway that speaks S3, s3://CONTAINER?endpoint=GATEWAY", u.Scheme)
	}
	return Location{}, invalid("there is no storage of the kind %q: write %s", shorten(u.Scheme), Forms)
}

// credentialsHint says where credentials come from.
const credentialsHint = "they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from ~/.aws/credentials or AWS_SHARED_CREDENTIALS_FILE, or from the machine's or pod's role"

func parseFile(u *url.URL) (Location, error) {
	if u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return Location{}, invalid("a folder is written with three slashes and its whole path, file:///srv/registry")
	}
	if u.RawQuery != "" {
		return Location{}, invalid("a folder takes no parameters behind a '?'")
	}
	return FileLocation(filepath.Clean(u.Path)), nil
}

// bucketPattern is what S3 takes as a bucket's name; some stores allow capitals
// and underscores.
var bucketPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

// prefixPattern is a part of a prefix: such as a driver's paths have.
var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func parseS3(u *url.URL) (Location, error) {
	l := Location{scheme: schemeS3, bucket: u.Host}
	if u.Opaque != "" || !bucketPattern.MatchString(l.bucket) || strings.Contains(l.bucket, "..") {
		return Location{}, invalid("%q is no name of a bucket: write s3://BUCKET[/PREFIX]", shorten(l.bucket))
	}
	if trimmed := strings.Trim(u.Path, "/"); trimmed != "" {
		for part := range strings.SplitSeq(trimmed, "/") {
			if !prefixPattern.MatchString(part) || part == "." || part == ".." {
				return Location{}, invalid("the prefix %q has other characters than letters, digits, '.', '_', '-' and single '/'", shorten(trimmed))
			}
		}
		l.prefix = path.Clean("/" + trimmed)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, invalid("its parameters cannot be read: write ?NAME=VALUE&NAME=VALUE")
	}
	known := l.s3.parameters()
	for name, given := range values {
		p, ok := known[name]
		switch {
		case !ok && looksSecret(name):
			return Location{}, invalid("credentials do not belong into it, since it is shown and logged: %s", credentialsHint)
		case !ok:
			return Location{}, invalid("there is no parameter %q: the parameters are %s", shorten(name), strings.Join(names(known), ", "))
		case len(given) != 1:
			return Location{}, invalid("the parameter %s is given more than once", name)
		}
		if want := p.check(given[0]); want != "" {
			return Location{}, invalid("%s is %s", name, want) // not what was given, which may be a secret
		}
		*p.value = given[0]
	}
	if l.s3.encryptionKey != "" && l.s3.encryption != "aws:kms" {
		return Location{}, invalid("encryption_key goes with encryption=aws:kms")
	}
	return l, nil
}

// looksSecret reports whether a parameter is meant as a credential.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "key") || strings.Contains(name, "secret") || strings.Contains(name, "token") || strings.Contains(name, "password")
}

func names(parameters map[string]parameter) []string {
	var list []string
	for name := range parameters {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func matches(pattern, want string) func(string) string {
	compiled := regexp.MustCompile(pattern)
	return func(value string) string {
		if compiled.MatchString(value) {
			return ""
		}
		return want
	}
}

func oneOf(values ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(values, value) {
			return ""
		}
		return strings.Join(values, " or ")
	}
}

func isAbsolute(value string) string {
	if filepath.IsAbs(value) {
		return ""
	}
	return "the whole path of a file"
}

func isEndpoint(value string) string {
	const want = "a host with or without a port, behind http:// or https:// (the default), and nothing else"
	if _, _, err := parseEndpoint(value); err != nil {
		return want
	}
	return ""
}

// parseEndpoint returns host[:port], and whether it is reached by HTTPS.
func parseEndpoint(value string) (host string, secure bool, err error) {
	if !strings.Contains(value, "://") {
		value = "https://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false, fmt.Errorf("%q is no endpoint", shorten(value))
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", false, fmt.Errorf("%q is no endpoint", shorten(value))
		}
	}
	return u.Host, u.Scheme == "https", nil
}

// String is the location as it was written. It has no secrets.
func (l Location) String() string {
	if l.scheme == schemeFile {
		return (&url.URL{Scheme: schemeFile, Path: l.dir}).String()
	}
	values := url.Values{}
	for name, p := range l.s3.parameters() {
		if *p.value != "" {
			values.Set(name, *p.value)
		}
	}
	return (&url.URL{Scheme: schemeS3, Host: l.bucket, Path: l.prefix, RawQuery: values.Encode()}).String()
}

// Dir is the folder of a location on this machine, "" for any other.
func (l Location) Dir() string { return l.dir }

// Shared reports whether servers on other machines reach the same content
// under the same name. A folder may be shared by a network file system, which
// its name does not tell.
func (l Location) Shared() bool { return l.scheme != schemeFile }

// PlainHTTP reports whether clients that are sent to the store would go there
// without encryption.
func (l Location) PlainHTTP() bool {
	endpoint := l.s3.publicEndpoint
	if endpoint == "" {
		endpoint = l.s3.endpoint
	}
	_, secure, err := parseEndpoint(endpoint)
	return endpoint != "" && err == nil && !secure
}

func invalid(format string, args ...any) error {
	return constellation.Errorf(constellation.KindInvalid, format, args...)
}

// shorten keeps what somebody else wrote from filling a line.
func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
