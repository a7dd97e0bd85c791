package heartbeat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	Keys       []apiv1.HeartbeatKey       `json:"keys"`
	KeysAt     time.Time                  `json:"keys_at"`
	ExpiresAt  time.Time                  `json:"expires_at,omitzero"`
	KeysUsed   []string                   `json:"keys_used,omitempty"`
	Algorithms []apiv1.HeartbeatAlgorithm `json:"algorithms,omitempty"`
	Counts     apiv1.HeartbeatEngine      `json:"counts,omitzero"`
}

// peerKey is what engines show each other: derived, so that the token itself
// stays where it is.
func peerKey(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("constellation heartbeat peer v1"))
	return hex.EncodeToString(mac.Sum(nil))
}

// exchange tells the other engines what is in force, and gives what they
// counted. One that does not answer is left out: what it counted comes later.
func (s *Sender) exchange(ctx context.Context, r Report) []peerReport {
	addresses := s.Engine.Peers()
	body, err := json.Marshal(peerReport{Keys: r.Keys, KeysAt: r.KeysAt, ExpiresAt: r.Satellite.ExpiresAt})
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
			answer, err := s.ask(ctx, address, body)
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

var peerClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second}} // no proxy between engines

func (s *Sender) ask(ctx context.Context, address string, body []byte) (*peerReport, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+PeerPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+peerKey(s.Token))
	request.Header.Set("Content-Type", "application/json")
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
	var answer peerReport
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// PeerHandler answers the engine that reports: it takes what that one has in
// force when it is newer, and tells what this one counted.
func PeerHandler(e Engine, token string) http.Handler {
	want := "Bearer " + peerKey(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token == "" || !hmac.Equal([]byte(r.Header.Get("Authorization")), []byte(want)) {
			http.Error(w, "this is for the satellite's other engines", http.StatusForbidden)
			return
		}
		var told peerReport
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAnswer)).Decode(&told); err != nil {
			http.Error(w, "the body is no report", http.StatusBadRequest)
			return
		}
		report := e.Report()
		if told.KeysAt.After(report.KeysAt) {
			e.TakeKeys(told.Keys, told.KeysAt)
			report.Keys, report.KeysAt = told.Keys, told.KeysAt
		}
		if !told.ExpiresAt.IsZero() {
			e.TakeExpiry(told.ExpiresAt)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(peerReport{
			Keys: report.Keys, KeysAt: report.KeysAt, KeysUsed: report.KeysUsed,
			Algorithms: report.Algorithms, Counts: report.Counts,
		})
	})
}
