package serve

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/admin"
	"github.com/constellation-serving/constellation/internal/command"
)

// prefixForm is a path below which a proxy may have this server: nothing that
// needs an escape in an address, a cookie or a page.
var prefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// hostForm is a host, or an IPv6 address in brackets, perhaps with a port.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// checkPublicURL takes the public URL in its one form.
func (c *Config) checkPublicURL() error {
	if c.registryHost != "" && !hostForm.MatchString(c.registryHost) {
		return command.UsageError{Err: fmt.Errorf("--registry-host is HOST or HOST:PORT, without a scheme or a path; not %q", c.registryHost)}
	}
	if c.publicURL == "" {
		return nil
	}
	u, err := url.Parse(c.publicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return command.UsageError{Err: fmt.Errorf("--public-url is http:// or https:// and a host, perhaps with a path; not %q", c.publicURL)}
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if !prefixForm.MatchString(path) || len(path) > 200 {
		return command.UsageError{Err: fmt.Errorf("the path of --public-url has letters, digits, '-', '_', '~' and '.' between its slashes, and no part that begins with '.'; not %q", u.EscapedPath())}
	}
	if first := firstPart(path); slices.Contains(ownParts(), first) {
		return command.UsageError{Err: fmt.Errorf("the path of --public-url cannot begin with /%s: this server has pages of its own there, and could not tell whether a proxy has taken the path off; take another", first)}
	}
	c.publicURL = u.Scheme + "://" + u.Host + path
	return nil
}

// pathOf returns the path of a public URL, "" at the root of its host.
func pathOf(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

func firstPart(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}

// ownParts are what this server's own addresses begin with.
func ownParts() []string {
	parts := []string{"healthz", "readyz", "metrics", "static", "v1", "v2", "openapi.json"}
	for _, r := range admin.Routes() {
		if first := firstPart(r.Pattern); first != "" {
			parts = append(parts, first)
		}
	}
	return parts
}
