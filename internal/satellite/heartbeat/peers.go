package heartbeat

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// PeerPath is where an engine answers the one that reports. It is for the
// engines of a launch alone: both prove that they have its token.
const PeerPath = "/internal/heartbeat"

// peerReport is an engine's part of a heartbeat, and what the one that reports
// tells it: those fields alone that both need.
type peerReport struct {
	Access     Access                     `json:"access"`
	KeysUsed   []string                   `json:"keys_used,omitempty"`
	Algorithms []apiv1.HeartbeatAlgorithm `json:"algorithms,omitempty"`
	Counts     apiv1.HeartbeatEngine      `json:"counts,omitzero"`
}

// sealing encrypts what engines tell each other: by a key derived from the
// token, which itself stays where it is. place tells a question from an answer,
// and which question an answer is to, so that neither can stand for the other.
type sealing struct{ cipher.AEAD }

func newSealing(token string) sealing {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "constellation heartbeat peer v2", 32)
	if err != nil {
		panic(err) // 32 bytes can always be derived
	}
	block, _ := aes.NewCipher(key) // 32 bytes are a key
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealing{aead}
}

func (s sealing) seal(report *peerReport, place []byte) ([]byte, error) {
	text, err := json.Marshal(report)
	if err != nil {
		return nil, err
	}
	return s.Seal(nil, nil, text, place), nil //nolint:gosec // the AEAD makes a random nonce for each message itself
}

func (s sealing) open(data, place []byte) (*peerReport, error) {
	text, err := s.Open(nil, nil, data, place)
	if err != nil {
		return nil, errors.New("it is not sealed with this launch's token")
	}
	var report peerReport
	return &report, json.Unmarshal(text, &report)
}

// question is the place of what the one that reports tells; that of an answer
// is the sealed question.
var question = []byte("question")

// exchange tells the other engines what is in force, and gives what they
// counted. One that does not answer is left out: what it counted comes later.
func (s *Sender) exchange(ctx context.Context, r Report) []peerReport {
	addresses := s.Engine.Peers()
	sealer := newSealing(s.Token)
	body, err := sealer.seal(&peerReport{Access: r.Access}, question)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answers := make([]*peerReport, len(addresses))
	group := errgroup.Group{}
	group.SetLimit(8)
	for i, address := range addresses {
		group.Go(func() error {
			answer, err := s.ask(ctx, sealer, address, body)
			if err != nil {
				s.log.Debug("another engine does not answer", "address", address, "error", err)
				return nil
			}
			answers[i] = answer
			return nil
		})
	}
	_ = group.Wait()
	var others []peerReport
	for _, answer := range answers {
		if answer == nil {
			continue
		}
		s.use(answer.KeysUsed)
		if answer.Counts.ID != r.Counts.ID { // not ourselves
			others = append(others, *answer)
		}
	}
	return others
}

// peerClient has no proxy between engines, and sends their key to no other
// address.
var peerClient = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second},
	CheckRedirect: followNothing,
}

func (s *Sender) ask(ctx context.Context, sealer sealing, address string, body []byte) (*peerReport, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+PeerPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := peerClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", response.Status)
	}
	return sealer.open(data, body)
}

// PeerHandler answers the engine that reports: it takes what that one has in
// force when it is newer, and tells what this one counted.
func PeerHandler(e Engine, token string) http.Handler {
	sealer := newSealing(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswer))
		if err != nil {
			http.Error(w, "the body is no report", http.StatusBadRequest)
			return
		}
		told, err := sealer.open(body, question)
		if token == "" || err != nil {
			http.Error(w, "this is for the satellite's other engines", http.StatusForbidden)
			return
		}
		report := e.Report()
		if told.Access.Version > report.Access.Version && e.Take(told.Access) {
			report.Access = told.Access
		}
		answer, err := sealer.seal(&peerReport{
			Access: report.Access, KeysUsed: report.KeysUsed, Algorithms: report.Algorithms, Counts: report.Counts,
		}, body)
		if err != nil {
			http.Error(w, "the report cannot be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer)
	})
}
