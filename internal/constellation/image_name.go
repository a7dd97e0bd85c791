package constellation

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// ImageName names an image of a registry elsewhere: REGISTRY/REPOSITORY:TAG, or
// @DIGEST in place of the tag or behind it.
type ImageName struct {
	Host       string // as ParseRegistryHost returns it
	Repository string
	Tag        string // "" when there is a digest alone
	Digest     string // "sha256:…", "" when there is a tag alone
}

// String returns the name as it is written.
func (n ImageName) String() string {
	text := n.Host + "/" + n.Repository
	if n.Tag != "" {
		text += ":" + n.Tag
	}
	if n.Digest != "" {
		text += "@" + n.Digest
	}
	return text
}

// Reference is what a registry is asked for: the digest, or else the tag.
func (n ImageName) Reference() string {
	if n.Digest != "" {
		return n.Digest
	}
	return n.Tag
}

// dockerHost is what images are of that name no registry.
const dockerHost = "docker.io"

// maxImageName is how many bytes an image's name has at most.
const maxImageName = 512

var (
	hostPattern       = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$`)
	foreignRepository = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	foreignTag        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	foreignDigest     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ParseRegistryHost returns a registry's host[:port] in its one form: lower case,
// without the port 443, Docker Hub under its own name. The error is for the user.
func ParseRegistryHost(text string) (string, error) {
	host := strings.ToLower(strings.TrimSpace(text))
	wrong := Errorf(KindInvalid, "a registry is HOST or HOST:PORT, such as registry.example.com:5000 or [2001:db8::1]:5000; not %q", shorten(text))
	if _, _, scheme := strings.Cut(host, "://"); scheme || host == "" || len(host) > 255 {
		return "", wrong
	}
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name, port = host[:i], host[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", wrong
		}
	}
	if literal, ok := strings.CutPrefix(name, "["); ok {
		at, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || !strings.HasSuffix(literal, "]") || !at.Is6() || at.Zone() != "" {
			return "", wrong
		}
		name = "[" + at.String() + "]"
	} else if !hostPattern.MatchString(name) {
		return "", wrong
	}
	switch name {
	case "index.docker.io", "registry-1.docker.io", "hub.docker.com":
		name = dockerHost
	}
	if port == "" || port == "443" {
		return name, nil
	}
	return name + ":" + port, nil
}

// ParseImageName reads the name of an image elsewhere, as people write it for docker
// pull: one without a registry is of Docker Hub, one without a tag is latest. The
// error is for the user.
func ParseImageName(text string) (ImageName, error) {
	name, err := parseRepository(text, "an image is REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…, such as registry.example.com/team/model:1.2")
	if err != nil {
		return ImageName{}, err
	}
	if name.Tag == "" && name.Digest == "" {
		name.Tag = "latest"
	}
	return name, nil
}

// ParseRepositoryName is ParseImageName for a repository, which has no tag.
func ParseRepositoryName(text string) (ImageName, error) {
	const rule = "a repository is REGISTRY/REPOSITORY, such as registry.example.com/team/model"
	name, err := parseRepository(text, rule)
	if err == nil && (name.Tag != "" || name.Digest != "") {
		err = Errorf(KindInvalid, "%s, without a tag or digest; not %q", rule, shorten(text))
	}
	return name, err
}

func parseRepository(text, rule string) (ImageName, error) {
	given := text
	wrong := func(why string) (ImageName, error) {
		return ImageName{}, Errorf(KindInvalid, "%s; %q %s", rule, shorten(given), why)
	}
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxImageName {
		return wrong("is none")
	}
	if scheme, _, found := strings.Cut(text, "://"); found {
		return wrong("begins with " + shorten(scheme) + "://, which is to be left out")
	}
	var name ImageName
	var hasDigest, hasTag bool
	text, name.Digest, hasDigest = strings.Cut(text, "@")
	if hasDigest && !foreignDigest.MatchString(name.Digest) {
		return wrong("has no digest of the form sha256: and 64 hex digits behind its '@'")
	}
	first, rest, slash := strings.Cut(text, "/")
	named := slash && (strings.ContainsAny(first, ".:[") || strings.EqualFold(first, "localhost") || first != strings.ToLower(first))
	name.Host, name.Repository = dockerHost, text
	if named {
		host, err := ParseRegistryHost(first)
		if err != nil {
			return wrong("names no registry before its first '/'")
		}
		name.Host, name.Repository = host, rest
	}
	if name.Repository, name.Tag, hasTag = strings.Cut(name.Repository, ":"); hasTag && !foreignTag.MatchString(name.Tag) {
		return wrong("has no tag behind its ':'")
	}
	if len(name.Repository) > 255 || !foreignRepository.MatchString(name.Repository) {
		if strings.ToLower(name.Repository) != name.Repository && foreignRepository.MatchString(strings.ToLower(name.Repository)) {
			return wrong("has upper case in its repository, which registries do not take")
		}
		return wrong("has no repository: lower-case letters and digits, with '.', '_' or '-' between them and '/' between its parts")
	}
	if name.Host == dockerHost && !strings.Contains(name.Repository, "/") {
		name.Repository = "library/" + name.Repository
	}
	return name, nil
}
