package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// DeviceLifetime is how long a device is known after its last sign-in.
const DeviceLifetime = 400 * 24 * time.Hour

// devicePlace binds the seal of a device's token, and stands before its ID
// where failures of sign-ins are counted.
const devicePlace = "device/"

// device is a browser that an account has signed in from. Its ID counts its
// own failures, so that a token that was stolen guesses no faster.
type device struct {
	AccountID string    `json:"a"`
	ID        string    `json:"d"`
	Expires   time.Time `json:"e"`
}

// DeviceToken returns what a browser keeps after p signed in, so that its next
// sign-in does not wait for what others do from its address. before is the
// token that it has already.
func (s *Service) DeviceToken(p Principal, before string) string {
	d, ok := s.device(before)
	if !ok || d.AccountID != p.AccountID {
		d = device{AccountID: p.AccountID, ID: rand.Text()}
	}
	d.Expires = s.now().Add(DeviceLifetime)
	data, err := json.Marshal(d)
	if err != nil {
		panic("a device has two strings and a time: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(s.options.Sealer.Seal(devicePlace, data))
}

// device reads a token; one that we did not make, or that has expired, is
// none.
func (s *Service) device(token string) (device, bool) {
	var d device
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(sealed) == 0 {
		return device{}, false
	}
	data, err := s.options.Sealer.Open(devicePlace, sealed)
	if err != nil || json.Unmarshal(data, &d) != nil || !s.now().Before(d.Expires) {
		return device{}, false
	}
	return d, true
}

// checkOldPassword asks somebody signed in for their password. Their session
// counts its own failures.
func (s *Service) checkOldPassword(ctx context.Context, p Principal, password string) (Principal, error) {
	account, err := s.account(ctx, p.Username)
	if err != nil && constellation.KindOf(err) != constellation.KindNotFound {
		return Principal{}, err
	}
	return s.checkPassword(ctx, account, p.Username, password, p.Address, devicePlace+p.SessionID)
}
