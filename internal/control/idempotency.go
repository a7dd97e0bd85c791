package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// IdempotentRequest names a request that must happen once.
type IdempotentRequest struct {
	Key, Method, Path string
	BodyHash          [32]byte
}

// StoredResponse is an answer kept for a repeated request.
type StoredResponse struct {
	Status int
	Header map[string]string
	Body   []byte
}

const answerLifetime = 24 * time.Hour

// MaxIdempotencyKey is how many characters the key of an IdempotentRequest may
// have.
const MaxIdempotencyKey = 255

// ErrKeyReused is returned by Idempotent when the key came with another request
// before.
var ErrKeyReused error = constellation.Errorf(constellation.KindConflict, "this Idempotency-Key was used for another request; give every new request a new key")

// Idempotent runs do with a Service bound to one transaction, and keeps its
// answer in that same transaction for a day: the same key of the same account
// again gets that answer, with replayed true, and nothing happens twice. It
// waits for a request with the same key that is under way. Another method,
// path or body under the same key is KindConflict. Failures are not kept.
func (s *Service) Idempotent(ctx context.Context, p Principal, r IdempotentRequest, do func(*Service) (*StoredResponse, error)) (answer *StoredResponse, replayed bool, err error) {
	if err := p.may(constellation.RoleViewer, "this request"); err != nil {
		return nil, false, err
	}
	if err := checkAnswerKey(r.Key); err != nil {
		return nil, false, err
	}
	account := p.AccountID
	if account == "" {
		account = p.Username
	}
	place := "idempotency_keys/" + account + "/" + r.Key
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, place); err != nil {
			return err
		}
		now := s.now()
		stored, err := s.db.StoredAnswer(ctx, account, r.Key, now.Add(-answerLifetime))
		if err != nil {
			return err
		}
		if replayed = stored != nil; replayed {
			answer, err = s.replay(place, r.fingerprint(p), stored)
			return err
		}
		if answer, err = do(s); err != nil || answer == nil || answer.Status >= 400 {
			return err
		}
		plain, err := json.Marshal(answer)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		return s.db.StoreAnswer(ctx, account, r.Key, postgres.StoredAnswer{
			Request: r.fingerprint(p), Response: s.options.Sealer.Seal(place, plain),
		}, now)
	})
	if err != nil {
		return nil, false, err
	}
	return answer, replayed, nil
}

func (s *Service) replay(place string, request []byte, stored *postgres.StoredAnswer) (*StoredResponse, error) {
	if subtle.ConstantTimeCompare(request, stored.Request) != 1 {
		return nil, ErrKeyReused
	}
	plain, err := s.options.Sealer.Open(place, stored.Response)
	if err != nil {
		return nil, err
	}
	var answer StoredResponse
	if err := json.Unmarshal(plain, &answer); err != nil {
		return nil, fmt.Errorf("read stored answer: %w", err)
	}
	return &answer, nil
}

// fingerprint identifies a request. It has the API key's id: a
// lesser key of the account does not get what a greater one was answered.
func (r IdempotentRequest) fingerprint(p Principal) []byte {
	sum := sha256.Sum256([]byte(r.Method + "\x00" + r.Path + "\x00" + p.KeyID + "\x00" + string(r.BodyHash[:])))
	return sum[:]
}

func checkAnswerKey(key string) error {
	printable := strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if key != "" && len(key) <= MaxIdempotencyKey && printable {
		return nil
	}
	var v constellation.Validation
	v.Add("Idempotency-Key", "an Idempotency-Key has 1 to %d printable ASCII characters, such as a UUID", MaxIdempotencyKey)
	return malformed(v.Err())
}
