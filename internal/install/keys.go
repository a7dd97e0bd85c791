package install

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
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
	about    string // what it is, for a help text
	required bool
	standard string // what holds when it is not set
	text     bool   // written as a YAML string
	check    func(value string) (normal string, err error)
}

// settings is the table of every key, in the order in which they are shown.
var settings = []setting{
	{key: "stage.container_registry", about: "the cluster's private registry, host[:port]/path", required: true, text: true, check: checkRegistry},
	{key: "stage.kubernetes.kubeconfig_path", about: "the kubeconfig of the target cluster, a file", required: true, text: true, check: checkPath},
	{key: "stage.kubernetes.context", about: "its context, if not the current one", text: true, check: anything},
	{key: "stage.kubernetes.namespace", about: "where all of the launch goes; one launch a namespace", required: true, text: true, check: checkNamespace},
	{key: "stage.kubernetes.create_namespace", about: "make the namespace if it is not there: true, false", standard: "false", check: checkBool},
	{key: "stage.fqdn", about: "the mothership as the cluster reaches it, for heartbeats: host[:port] or a URL", text: true, check: checkFQDN},
	{key: "stage.ingress.provider", about: "the kind of ingress controller: " + strings.Join(kube.Providers, ", "), standard: "generic", text: true, check: oneOf(kube.Providers...)},
	{key: "stage.ingress.class", about: "the ingress class, if not the provider's", text: true, check: checkClass},
	{key: "stage.ingress.host", about: "the host name of calls; unset takes any", text: true, check: checkHost},
	{key: "stage.ingress.tls_secret", about: "a Secret of the namespace with the host's certificate", text: true, check: checkSecret},
	{key: "stage.ingress.annotations.<name>", about: "further annotations of the Ingress", text: true, check: anything},
	{key: "stage.registry.layout", about: "one repository for all algorithms, or one each: single, per-image", standard: "single", text: true, check: oneOf("single", "per-image")},
	{key: "stage.registry.pull_secret", about: "what pods pull with: create (from the docker login), existing:NAME, none", standard: "create", text: true, check: checkPullSecret},
	{key: "stage.registry.insecure", about: "plain HTTP, or an unchecked certificate: true, false", standard: "false", check: checkBool},
	{key: "stage.registry.ca_file", about: "the registry's own certificate authority, a PEM file", text: true, check: checkPath},
	{key: "stage.profile", about: "ha (two engines, three queue nodes) or edge (one pod)", standard: "ha", text: true, check: oneOf("ha", "edge")},
	{key: "stage.replicas.<vanity>", about: "replicas of an algorithm here, instead of the satellite's", check: checkReplicas},
	{key: "stage.resources.<vanity>.cpu", about: "its processors, such as 500m or 2", text: true, check: checkQuantity},
	{key: "stage.resources.<vanity>.memory", about: "its memory, such as 2Gi", text: true, check: checkQuantity},
	{key: "stage.resources.<vanity>.gpu", about: "its GPUs, such as 1", check: checkGPU},
	{key: "stage.mothership.proxy", about: "the HTTP proxy of heartbeats", text: true, check: checkProxy},
	{key: "stage.mothership.ca_file", about: "the mothership's own certificate authority, a PEM file", text: true, check: checkPath},
	{key: "stage.heartbeat", about: "report to the mothership: on, off", standard: "on", text: true, check: oneOf("on", "off")},
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
		if near := Nearest(value, values); distance(strings.ToLower(value), near) <= max(2, len(near)/2) {
			return "", fmt.Errorf("is one of %s; did you mean %q", strings.Join(values, ", "), near)
		}
		return "", fmt.Errorf("is one of %s; not %q", strings.Join(values, ", "), value)
	}
}

func checkBool(value string) (string, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return "", fmt.Errorf("is true or false; not %q", value)
	}
	return strconv.FormatBool(b), nil
}

// checkRegistry holds a value to host[:port]/path; a host is written in lower
// case, as docker login keeps it.
func checkRegistry(value string) (string, error) {
	const form = "is host[:port]/path, such as registry.example.com:5000/team"
	if strings.Contains(value, "@") { // and is not repeated
		return "", errors.New(form + ", and has no user, password or digest: 'docker login' keeps the login")
	}
	if _, rest, ok := strings.Cut(value, "://"); ok {
		return "", fmt.Errorf("%s, with no scheme: write %s (stage.registry.insecure=true is for plain HTTP)", form, strings.ToLower(strings.TrimRight(rest, "/")))
	}
	value = strings.TrimRight(value, "/")
	host, path, _ := strings.Cut(value, "/")
	if bare(host) {
		return "", fmt.Errorf("%s; an IPv6 address is in brackets: [%s]", form, host)
	}
	if !strings.ContainsAny(host, ".:") && !strings.EqualFold(host, "localhost") || !isHostPort(host) {
		return "", fmt.Errorf("%s: it starts with the registry's host, and %q is none", form, host)
	}
	host = strings.ToLower(host)
	if strings.ToLower(path) != path {
		return "", fmt.Errorf("%s: the path is in lower case, %s/%s", form, host, strings.ToLower(path))
	}
	value = strings.TrimRight(host+"/"+path, "/")
	if _, err := name.NewRepository(value+"/x", name.StrictValidation); err != nil {
		return "", fmt.Errorf("%s: %w", form, err)
	}
	return value, checkRegistryPath(value)
}

// checkPath makes a path absolute, since the folder may be used from anywhere.
func checkPath(value string) (string, error) {
	if strings.Contains(value, "://") || strings.HasSuffix(value, "/") {
		return "", fmt.Errorf("names a file on this machine, such as /home/algo/cluster.conf; not %q", value)
	}
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
	cause := e.err
	if path := (*fs.PathError)(nil); errors.As(e.err, &path) {
		cause = path.Err // without the path again
	}
	return fmt.Sprintf("names a file, and %s cannot be read: %v", e.path, cause)
}

func (e *noFileError) Unwrap() error { return e.err }

// checkAnnotation holds an annotation's name to Kubernetes' rule.
func checkAnnotation(name string) error {
	if problems := validation.IsQualifiedName(strings.ToLower(name)); len(problems) > 0 {
		return fmt.Errorf("%q is no annotation's name: letters, digits, '-', '_' and '.', with an optional domain and '/' before them, such as nginx.ingress.kubernetes.io/proxy-body-size", name)
	}
	return nil
}

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

// checkHost: what an Ingress calls a host is a name, and no address.
func checkHost(value string) (string, error) {
	host := strings.ToLower(value)
	if problems := validation.IsDNS1123Subdomain(strings.TrimPrefix(host, "*.")); len(problems) > 0 || net.ParseIP(host) != nil {
		return "", fmt.Errorf("is a host name such as algorithms.example.com, with no scheme, port or path and no address; not %q", value)
	}
	return host, nil
}

func checkClass(value string) (string, error) {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return "", fmt.Errorf("is the name of an ingress class ('kubectl get ingressclass' lists them): lower-case letters, digits, '-' and '.'; not %q", value)
	}
	return value, nil
}

var hostPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$`)

// isHostPort says whether a value is host[:port] and could be dialled.
func isHostPort(value string) bool {
	if !hostPort.MatchString(value) {
		return false
	}
	if inner, _, ok := strings.Cut(strings.TrimPrefix(value, "["), "]"); ok && net.ParseIP(inner) == nil {
		return false
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return true // there is none
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// bare says whether a host is an IPv6 address without its brackets.
func bare(host string) bool { return strings.Contains(host, ":") && net.ParseIP(host) != nil }

func checkFQDN(value string) (string, error) {
	const form = "is the mothership's name: host[:port] or a URL such as https://mothership.example.com"
	value = strings.TrimRight(value, "/")
	if strings.Contains(value, "@") { // and is not repeated
		return "", errors.New(form + ", and has no user or password")
	}
	if bare(value) {
		return "", fmt.Errorf("%s; an IPv6 address is in brackets: [%s]", form, value)
	}
	if !strings.Contains(value, "://") {
		if !isHostPort(value) {
			return "", fmt.Errorf("%s; not %q", form, value)
		}
		return strings.ToLower(value), nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !isHostPort(u.Host) || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s; not %q", form, value)
	}
	u.Host = strings.ToLower(u.Host)
	return u.String(), nil
}

// checkProxy: the address is in a ConfigMap, so it has no password.
func checkProxy(value string) (string, error) {
	u, err := url.Parse(value)
	if strings.Contains(value, "@") {
		return "", errors.New("cannot hold a user or password: let the proxy know the cluster's addresses instead")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHostPort(u.Host) || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("is the proxy by which engines reach the mothership, such as http://proxy.example.com:3128; not %q", value)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
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
