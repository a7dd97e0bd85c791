package settings

import (
	"cmp"
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

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

func anything(value string) (string, error) { return value, nil }

func oneOf(values ...string) func(string) (string, error) {
	return func(value string) (string, error) {
		if slices.Contains(values, value) {
			return value, nil
		}
		return "", &choiceError{value, values}
	}
}

// choiceError is the error of a value that is none of a few; the schema learns
// from it which they are.
type choiceError struct {
	value  string
	values []string
}

// Error names the values, and the nearest when there is one.
func (e *choiceError) Error() string {
	text := "is one of " + strings.Join(e.values, ", ")
	if near := constellation.Nearest(e.value, e.values); constellation.Edits(e.value, near) <= max(2, len(near)/2) {
		return fmt.Sprintf("%s; did you mean %q", text, near)
	}
	return fmt.Sprintf("%s; not %q", text, e.value)
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
	return value, registry.CheckPath(value)
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

// checkKubeconfigPath makes each path of a list absolute. Of several, those that
// are not there are left out, as kubectl does.
func checkKubeconfigPath(value string) (string, error) {
	files := kubeconfig.Files(value)
	if len(files) < 2 || strings.Contains(value, "://") {
		return checkPath(value)
	}
	var all, there []string
	var missing *noFileError
	for _, file := range files {
		path, err := checkPath(file)
		if none := (*noFileError)(nil); errors.As(err, &none) {
			missing, all = cmp.Or(missing, none), append(all, none.path)
			continue
		}
		if err != nil {
			return "", err
		}
		all, there = append(all, path), append(there, path)
	}
	separator := string(filepath.ListSeparator)
	if len(there) == 0 && missing != nil {
		return "", &noFileError{strings.Join(all, separator), missing.err}
	}
	return strings.Join(there, separator), nil
}

// noFileError is a path at which nothing can be read.
type noFileError struct {
	path string
	err  error
}

// Error names the path and says why.
func (e *noFileError) Error() string {
	cause := e.err
	if path := (*fs.PathError)(nil); errors.As(e.err, &path) {
		cause = path.Err // without the path again
	}
	return fmt.Sprintf("names a file, and %s cannot be read: %v", e.path, cause)
}

// Unwrap returns the system's error.
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

func checkMetricsAllow(value string) (string, error) {
	if _, err := render.ParseMetricsAllow(value); err != nil {
		return "", err
	}
	return value, nil
}

func checkMonitor(value string) (string, error) {
	if _, err := render.ParseMonitor(value); err != nil {
		return "", err
	}
	return value, nil
}

func checkClass(value string) (string, error) {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return "", fmt.Errorf("is the name of an ingress class ('kubectl get ingressclass' lists them): lower-case letters, digits, '-' and '.'; not %q", value)
	}
	return value, nil
}

var hostPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?$`)

// isHostPort reports whether a value is host[:port] and could be dialled.
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

// bare reports whether a host is an IPv6 address without its brackets.
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
	n, bounds, err := render.ParseReplicas(value)
	switch {
	case err != nil:
		return "", err
	case bounds != nil:
		return bounds.String(), nil
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
