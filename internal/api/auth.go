package api

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// challenge answers 401 (RFC 9110 section 11.6.1): what would have worked.
const challenge = `Bearer realm="constellation", Simple realm="constellation"`

// authenticate finds out whose key the request carries.
func (s *server) authenticate(r *http.Request) (control.Principal, error) {
	key, err := presentedKey(r.Header.Get("Authorization"))
	if err != nil {
		return control.Principal{}, err
	}
	return s.control.AuthenticateKey(r.Context(), key, httpserve.Address(r))
}

// presentedKey reads the three forms of Authorization that the official
// clients send: Simple KEY, Bearer KEY and the bare key.
func presentedKey(header string) (string, error) {
	words := strings.Fields(header)
	switch {
	case len(words) == 0:
		return "", httpserve.WithReason(constellation.Errorf(constellation.KindUnauthenticated,
			"an API key is required: send the header Authorization: Bearer KEY"), apiv1.ReasonNoKey)
	case len(words) == 1:
		return words[0], nil
	case len(words) == 2 && (strings.EqualFold(words[0], "Simple") || strings.EqualFold(words[0], "Bearer")):
		return words[1], nil
	}
	return "", constellation.Errorf(constellation.KindUnauthenticated,
		"the Authorization header is Bearer KEY, Simple KEY or the bare key, and holds something else")
}
