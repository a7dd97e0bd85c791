package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/constellation-serving/constellation/internal/outbound"
)

const (
	fetchTimeout = 10 * time.Second
	maxRedirects = 3
)

// newClient returns a client for an issuer's keys, which trusts the certificates of
// ca besides the system's. It goes to the host that the operator named and to no
// other, and never to where clouds keep their metadata.
func newClient(ca string) (*http.Client, error) {
	var roots *x509.CertPool
	if ca != "" {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the certificates for the issuer's keys are no PEM")
		}
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext: (&outbound.Dialer{Check: mayDial}).DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
				return fmt.Errorf("it leads on to %s://%s: name the keys' own address", r.URL.Scheme, r.URL.Host)
			}
			if len(via) > maxRedirects {
				return errors.New("it leads on and on")
			}
			return nil
		},
	}, nil
}

// fetch returns what is at a URL, of at most maxKeySet bytes.
func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "constellation-engine")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the issuer's keys: %s answered %s", url, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	if len(data) > maxKeySet {
		return nil, fmt.Errorf("fetch the issuer's keys: %s answered more than %d bytes", url, maxKeySet)
	}
	return data, nil
}

// mayDial refuses addresses that are no issuer's, and those that lead to one such.
func mayDial(_ string, at netip.Addr) error {
	if outbound.Metadata(at) || outbound.NoHost(at) {
		return fmt.Errorf("%s is of the local link or of a group, or where a cloud keeps its metadata, and no issuer of tokens", at)
	}
	return nil
}
