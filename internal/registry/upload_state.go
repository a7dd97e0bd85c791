package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// uploadState is how far an upload is. Its URL has it, signed, so that any
// server of the mothership goes on with it. The form is distribution's: uploads
// go on that an earlier release began.
type uploadState struct {
	Name      string // of the repository
	UUID      string
	Offset    int64
	StartedAt time.Time
}

var errForgedState = errors.New("the upload's state is not one that this registry made")

// uploadSigner has the secret that signs the state of uploads.
type uploadSigner []byte

// location is the path and query by which an upload goes on.
func (s uploadSigner) location(state uploadState) (string, error) {
	text, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	token := base64.URLEncoding.EncodeToString(append(s.sum(text), text...))
	at := route{kind: routeUpload, repository: state.Name, reference: state.UUID}
	return at.path() + "?" + url.Values{"_state": {token}}.Encode(), nil
}

// open returns the state that a token has, if it was made here.
func (s uploadSigner) open(token string) (uploadState, error) {
	data, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(data) < sha256.Size || !hmac.Equal(s.sum(data[sha256.Size:]), data[:sha256.Size]) {
		return uploadState{}, errForgedState
	}
	var state uploadState
	err = json.Unmarshal(data[sha256.Size:], &state)
	return state, err
}

func (s uploadSigner) sum(text []byte) []byte {
	mac := hmac.New(sha256.New, s)
	_, _ = mac.Write(text) // never fails
	return mac.Sum(nil)
}
