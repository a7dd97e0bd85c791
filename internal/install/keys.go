package install

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube"
)

// setting is one key of the configuration (DESIGN section 6).
type setting struct {
	key      string // "<name>" stands for a part that the operator chooses
	required bool
	standard string // what holds when it is not set
	text     bool   // written as a YAML string
	check    func(value string) (normal string, err error)
}

// settings is the table of every key, in the order in which they are shown.
var settings = []setting{
	{key: "stage.container_registry", required: true, text: true, check: checkRegistry},
	{key: "stage.kubernetes.kubeconfig_path", required: true, text: true, check: checkPath},
	{key: "stage.kubernetes.context", text: true, check: anything},
	{key: "stage.kubernetes.namespace", required: true, text: true, check: checkNamespace},
	{key: "stage.kubernetes.create_namespace", standard: "false", check: checkBool},
	{key: "stage.fqdn", text: true, check: checkFQDN},
	{key: "stage.ingress.provider", standard: "generic", text: true, check: oneOf(kube.Providers...)},
	{key: "stage.ingress.class", text: true, check: anything},
	{key: "stage.ingress.host", text: true, check: checkHost},
	{key: "stage.ingress.tls_secret", text: true, check: checkSecret},
	{key: "stage.ingress.annotations.<name>", text: true, check: anything},
	{key: "stage.registry.layout", standard: "single", text: true, check: oneOf("single", "per-image")},
	{key: "stage.registry.pull_secret", standard: "create", text: true, check: checkPullSecret},
	{key: "stage.registry.insecure", standard: "false", check: checkBool},
	{key: "stage.registry.ca_file", text: true, check: checkPath},
	{key: "stage.profile", standard: "ha", text: true, check: oneOf("ha", "edge")},
	{key: "stage.replicas.<vanity>", check: checkReplicas},
	{key: "stage.resources.<vanity>.cpu", text: true, check: checkQuantity},
	{key: "stage.resources.<vanity>.memory", text: true, check: checkQuantity},
	{key: "stage.resources.<vanity>.gpu", check: checkGPU},
	{key: "stage.mothership.proxy", text: true, check: checkProxy},
	{key: "stage.mothership.ca_file", text: true, check: checkPath},
	{key: "stage.heartbeat", standard: "on", text: true, check: oneOf("on", "off")},
}

// find gives the setting of a key and the path of its value in the file. A
// vanity URL may have dots, so what the operator chose is matched whole.
func find(key string) (s setting, path []string, chosen string, ok bool) {
	for _, s := range settings {
		before, after, open := strings.Cut(s.key, "<")
		_, after, _ = strings.Cut(after, ">")
		switch {
		case !open && key == s.key:
			return s, strings.Split(key, "."), "", true
		case open && strings.HasPrefix(key, before) && strings.HasSuffix(key, after) && len(key) > len(before)+len(after):
			chosen := key[len(before) : len(key)-len(after)]
			path := append(strings.Split(strings.TrimSuffix(before, "."), "."), chosen)
			if after != "" {
				path = append(path, strings.TrimPrefix(after, "."))
			}
			return s, path, chosen, true
		}
	}
	return setting{}, nil, "", false
}

func anything(value string) (string, error) { return value, nil }

func oneOf(values ...string) func(string) (string, error) {
	return func(value string) (string, error) {
		if slices.Contains(values, value) {
			return value, nil
		}
		return "", fmt.Errorf("is one of %s; did you mean %q", strings.Join(values, ", "), Nearest(value, values))
	}
}

func checkBool(value string) (string, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return "", fmt.Errorf("is true or false")
	}
	return strconv.FormatBool(b), nil
}

func checkRegistry(value string) (string, error) {
	const form = "is host[:port]/path, such as registry.example.com:5000/team"
	if _, rest, ok := strings.Cut(value, "://"); ok {
		return "", fmt.Errorf("%s, with no scheme: write %s (stage.registry.insecure=true is for plain HTTP)", form, strings.TrimRight(rest, "/"))
	}
	value = strings.TrimRight(value, "/")
	host, path, _ := strings.Cut(value, "/")
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "", fmt.Errorf("%s: it starts with the registry's host, and %q is none", form, host)
	}
	if strings.ToLower(path) != path {
		return "", fmt.Errorf("%s: the path is in lower case, %s/%s", form, host, strings.ToLower(path))
	}
	if _, err := name.NewRepository(value+"/x", name.StrictValidation); err != nil {
		return "", fmt.Errorf("%s: %w", form, err)
	}
	return value, nil
}

// checkPath makes a path absolute, since the folder may be used from anywhere.
func checkPath(value string) (string, error) {
	if rest, ok := strings.CutPrefix(value, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			value = filepath.Join(home, rest)
		}
	}
	path, err := filepath.Abs(value)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", &noFileError{path, err}
	case info.IsDir():
		return "", fmt.Errorf("names a file, and %s is a folder", path)
	}
	return path, nil
}

// noFileError is a path at which nothing can be read.
type noFileError struct {
	path string
	err  error
}

func (e *noFileError) Error() string {
	return fmt.Sprintf("names a file, and %s cannot be read: %v", e.path, e.err)
}

func (e *noFileError) Unwrap() error { return e.err }

func checkNamespace(value string) (string, error) {
	if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
		return "", fmt.Errorf("is a namespace's name: up to 63 lower-case letters, digits and '-', such as algorithms; not %q", value)
	}
	return value, nil
}

func checkSecret(value string) (string, error) {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return "", fmt.Errorf("is a Secret's name: lower-case letters, digits, '-' and '.'; not %q", value)
	}
	return value, nil
}

func checkHost(value string) (string, error) {
	if problems := validation.IsDNS1123Subdomain(strings.TrimPrefix(value, "*.")); len(problems) > 0 {
		return "", fmt.Errorf("is a host name in lower case, such as algorithms.example.com, with no scheme, port or path; not %q", value)
	}
	return value, nil
}

var hostPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$`)

func checkFQDN(value string) (string, error) {
	const form = "is the mothership's name: host[:port] or a URL such as https://mothership.example.com"
	value = strings.TrimRight(value, "/")
	if !strings.Contains(value, "://") {
		if !hostPort.MatchString(value) {
			return "", fmt.Errorf("%s; not %q", form, value)
		}
		return value, nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !hostPort.MatchString(u.Host) || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("%s; not %q", form, value)
	}
	return value, nil
}

// checkProxy: the address is in a ConfigMap, so it has no password.
func checkProxy(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !hostPort.MatchString(u.Host) {
		return "", errors.New("is the proxy by which engines reach the mothership, such as http://proxy.example.com:3128")
	}
	if u.User != nil {
		return "", errors.New("cannot hold a password: let the proxy know the cluster's addresses instead")
	}
	return strings.TrimRight(value, "/"), nil
}

func checkPullSecret(value string) (string, error) {
	if value == "create" || value == "none" {
		return value, nil
	}
	if secret, ok := strings.CutPrefix(value, "existing:"); ok {
		if _, err := checkSecret(secret); err == nil {
			return value, nil
		}
	}
	return "", fmt.Errorf("is create, existing:NAME or none; not %q", value)
}

func checkReplicas(value string) (string, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > constellation.MaxReplicas {
		return "", fmt.Errorf("is a whole number from 0 to %d; not %q", constellation.MaxReplicas, value)
	}
	return strconv.Itoa(n), nil
}

func checkGPU(value string) (string, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 64 {
		return "", fmt.Errorf("is a whole number from 0 to 64; not %q", value)
	}
	return strconv.Itoa(n), nil
}

func checkQuantity(value string) (string, error) {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		return "", fmt.Errorf("is a Kubernetes quantity such as 500m or 2Gi; not %q", value)
	}
	return value, nil
}
