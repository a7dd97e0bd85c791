package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How many sealed values are read at once; bundles are large.
const (
	resealed        = 2000
	resealedBundles = 20
)

// sealedPlaces are where the values of a sealed column are sealed for, by the key
// of their row.
var sealedPlaces = map[string]func(key string) string{
	"acme_values.sealed":               acmePlace,
	"settings.sealed":                  func(name string) string { return name },
	"launches.token_sealed":            tokenPlace,
	"launch_bundles.sealed":            keptPlace,
	"idempotency_keys.response":        func(key string) string { return "idempotency_keys/" + key },
	"setup_token.sealed":               func(string) string { return setupPlace },
	"sign_ons.refresh_token":           refreshPlace,
	"sign_ons.id_token":                idTokenPlace,
	"foreign_registries.sealed":        registryPlace,
	"notification_destinations.sealed": notify.SecretPlace,
}

// Reseal seals anew, with the key that seals now, every secret that another one has
// sealed, and returns how many that were. It may be ended at any moment and run again,
// while servers run; the secrets open all the time. Only the shell may.
func (s *Service) Reseal(ctx context.Context, p Principal) (int, error) {
	if p.Username != constellation.ActorShell {
		return 0, constellation.Errorf(constellation.KindForbidden, "sealing secrets anew needs the mothership's own shell: mothership secret-key rotate")
	}
	if s.options.Sealer == nil {
		return 0, constellation.Errorf(constellation.KindInvalid, "the secret key of this database is not at hand: give --secret-key-file, --secret-key-command or CONSTELLATION_SECRET_KEY, as its servers have it")
	}
	total := 0
	for _, column := range postgres.SealedColumns() {
		n, err := s.resealColumn(ctx, column)
		if total += n; err != nil {
			return total, err
		}
	}
	if total == 0 {
		return 0, nil
	}
	return total, s.transact(ctx, func(s *Service) error {
		return s.audit(ctx, p, "secret_key.rotate", target{"secret_key", "", "secret key"}, nil, map[string]int{"secrets": total})
	})
}

func (s *Service) resealColumn(ctx context.Context, column string) (total int, err error) {
	place := sealedPlaces[column]
	if place == nil {
		return 0, fmt.Errorf("seal anew: nobody knows what %s is sealed for", column)
	}
	limit := resealed
	if column == "launch_bundles.sealed" {
		limit = resealedBundles
	}
	for after := ""; ; {
		values, err := s.db.SealedValues(ctx, column, after, limit)
		if err != nil || len(values) == 0 {
			return total, err
		}
		for _, v := range values {
			value, again, err := s.options.Sealer.Reseal(place(v.Key), v.Value)
			if err != nil {
				return total, fmt.Errorf("seal a value of %s anew: %w", strings.ReplaceAll(column, ".", " "), err)
			}
			if !again {
				continue
			}
			if err := s.db.ReplaceSealed(ctx, column, v, value); err != nil {
				return total, err
			}
			total++
		}
		after = values[len(values)-1].Key
	}
}
