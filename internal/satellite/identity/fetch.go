package identity

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/outbound"
)

const fetchTimeout = 10 * time.Second

// newClient returns a client for an issuer's keys, which trusts the certificates of
// ca besides the system's. It goes to the host that the operator named and to no
// other, and never to where clouds keep their metadata.
func newClient(ca string) (*http.Client, error) {
	return outbound.NewClient(outbound.ClientOptions{CA: ca, Timeout: fetchTimeout})
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
