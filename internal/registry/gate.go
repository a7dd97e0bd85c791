package registry

import (
	"net"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// authenticate returns who asks: Basic with account name and API key as docker
// login sends it, or the key itself as Bearer or Simple.
func (g *Registry) authenticate(r *http.Request) (control.Principal, error) {
	address := clientAddress(r)
	username, key, ok := r.BasicAuth()
	if !ok {
		key = bearerKey(r.Header.Get("Authorization"))
	}
	if key == "" {
		return control.Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "log in with an account name and, as the password, an API key of that account")
	}
	principal, err := g.control.AuthenticateKey(r.Context(), key, address)
	if err != nil {
		return control.Principal{}, err
	}
	if ok && !strings.EqualFold(username, principal.Username) {
		return control.Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "this API key is not of account %q: log in with the name of the account that the key belongs to", shorten(username))
	}
	return principal, nil
}

func bearerKey(header string) string {
	scheme, key, ok := strings.Cut(header, " ")
	if ok && (strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "simple")) {
		return strings.TrimSpace(key)
	}
	return ""
}

// clientAddress is who asks, also behind a proxy that is trusted.
func clientAddress(r *http.Request) string {
	if address := httpserve.Address(r); address != "" {
		return address
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// authorise reports whether principal may do method on route, and refuses what
// this registry never does. It reads nothing but its arguments and control.
func (g *Registry) authorise(principal control.Principal, route route, method string) error {
	if route.kind == routeBase {
		return allowed(route, method, http.MethodGet, http.MethodHead)
	}
	if route.kind == routeCatalog {
		if principal.Role != constellation.RoleAdmin || principal.SatelliteID != "" || principal.Scope != "" {
			return constellation.Errorf(constellation.KindForbidden, "listing every repository needs an admin's API key that is limited neither to one satellite nor to a scope")
		}
		return allowed(route, method, http.MethodGet, http.MethodHead)
	}
	read := method == http.MethodGet || method == http.MethodHead
	if read && route.kind != routeUploads && route.kind != routeUpload {
		if err := allowed(route, method, http.MethodGet, http.MethodHead); err != nil {
			return err
		}
		return g.control.CanPull(principal, route.repository)
	}
	if err := refuseWrite(route, method); err != nil {
		return err
	}
	if err := checkAlgorithmRepository(route.repository); err != nil {
		return err
	}
	return g.control.CanPush(principal, route.repository)
}

// refuseWrite refuses changes that no role may make.
func refuseWrite(route route, method string) error {
	switch {
	case route.satelliteID != "":
		return ociErrorf(http.StatusForbidden, codeDenied, "satellites/ is read-only: a bundle is made from its launch, by editing the satellite or the launch")
	case strings.HasPrefix(route.repository+"/", ownPrefix):
		return ociErrorf(http.StatusForbidden, codeDenied, "constellation/ is read-only: the mothership makes its images itself")
	case strings.HasPrefix(route.repository+"/", satellitesPrefix):
		return ociErrorf(http.StatusForbidden, codeDenied, "satellites/ is reserved for bundles: push to OWNER/NAME")
	case method == http.MethodDelete && route.kind != routeUpload:
		return ociErrorf(http.StatusMethodNotAllowed, codeUnsupported, "nothing is deleted from this registry: satellites pin images by digest, and a bundle must stay complete")
	}
	switch route.kind {
	case routeManifest:
		return allowed(route, method, http.MethodPut)
	case routeUploads:
		return allowed(route, method, http.MethodPost)
	case routeUpload:
		return allowed(route, method, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPut, http.MethodDelete)
	}
	return allowed(route, method)
}

// checkAlgorithmRepository refuses a repository that cannot be an algorithm's.
func checkAlgorithmRepository(repository string) error {
	owner, name, ok := strings.Cut(repository, "/")
	if !ok || strings.Contains(name, "/") {
		return ociErrorf(http.StatusBadRequest, codeNameInvalid, "an algorithm's repository is OWNER/NAME; not %q", repository)
	}
	var v constellation.Validation
	constellation.CheckOwnerName(&v, "owner", owner, "name", name)
	if err := v.Err(); err != nil {
		return ociErrorf(http.StatusBadRequest, codeNameInvalid, "%s", toOCI(err).message)
	}
	return nil
}

func allowed(route route, method string, methods ...string) error {
	for _, m := range methods {
		if m == method {
			return nil
		}
	}
	return ociErrorf(http.StatusMethodNotAllowed, codeUnsupported, "%s is not supported on %s", shorten(method), route.path())
}
