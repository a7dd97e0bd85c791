package control

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// certificateKept is for how long after its end a certificate is kept: a server that
// starts late shows it rather than none.
const certificateKept = 30 * 24 * time.Hour

func acmePlace(name string) string { return "acme_values/" + name }

// ACMEValue returns what servers share under a name for their certificate, nil when
// there is nothing, or nothing that the secret key opens.
func (s *Service) ACMEValue(ctx context.Context, name string) ([]byte, error) {
	sealed, err := s.db.ACMEValue(ctx, name, s.now())
	if err != nil || sealed == nil {
		return nil, err
	}
	value, err := s.options.Sealer.Open(acmePlace(name), sealed)
	if errors.Is(err, auth.ErrOtherKey) {
		s.options.Log.WarnContext(ctx, "what is kept for the certificate is sealed with another secret key, and is made anew", "name", name)
		return nil, nil
	}
	return value, err
}

// PutACMEValue keeps a value for all servers, until it expires.
func (s *Service) PutACMEValue(ctx context.Context, name string, value []byte, expires time.Time) error {
	return s.transact(ctx, func(s *Service) error {
		return s.db.PutACMEValue(ctx, name, s.options.Sealer.Seal(acmePlace(name), value), expires, s.now())
	})
}

// AloneWithCertificate runs do unless another server is in it. What do changes is in
// transactions of its own.
func (s *Service) AloneWithCertificate(ctx context.Context, do func() error) error {
	return s.db.Transact(ctx, func(tx *postgres.DB) error {
		free, err := tx.TryLock(ctx, "acme certificate")
		if err != nil || !free {
			return err
		}
		return do()
	})
}

type certificateView struct {
	Hosts     []string  `json:"hosts"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	ExpiresAt time.Time `json:"expires_at"`
}

// KeepCertificate keeps a certificate that was obtained, and notes it in the audit
// log.
func (s *Service) KeepCertificate(ctx context.Context, name string, value []byte, leaf *x509.Certificate) error {
	view := certificateView{leaf.DNSNames, clean(leaf.Issuer.CommonName, 200), fmt.Sprintf("%x", leaf.SerialNumber), leaf.NotAfter.UTC()}
	return s.transact(ctx, func(s *Service) error {
		if err := s.PutACMEValue(ctx, name, value, leaf.NotAfter.Add(certificateKept)); err != nil {
			return err
		}
		return s.audit(ctx, Principal{Username: constellation.ActorSystem}, "certificate.obtain", target{"certificate", view.Serial, leaf.Subject.CommonName}, nil, view)
	})
}
