package loadtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Client calls one running mothership with an API key, of the account neo where
// no other is said.
type Client struct{ URL, Key, Username string }

func (c Client) username() string { return cmp.Or(c.Username, "neo") }

// Reference is where an image is pushed that becomes a version of neo/crash.
func (c Client) Reference(hash string) (name.Reference, error) {
	return name.ParseReference(strings.TrimPrefix(c.URL, "http://")+"/neo/crash:"+hash, name.Insecure)
}

// Options are those of a push or pull: once, since an error counts, and none is hidden.
func (c Client) Options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: c.username(), Password: c.Key}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
}

// Call makes one call of the REST API and decodes its answer into into, unless that is nil.
func (c Client) Call(ctx context.Context, method, path, body string, into any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Simple "+c.Key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode >= 300 {
		return response.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, content)
	}
	if into == nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, json.Unmarshal(content, into)
}
