package control

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

const (
	// ClockSlack is how far a server's clock may be from the database's: sign-ins,
	// expiries and what launches are told depend on it.
	ClockSlack = 5 * time.Second
	// serverSeen is since when a server has shown itself that counts as running.
	serverSeen = time.Minute
)

// Server is a server of those on the mothership's database.
type Server = postgres.Server

// ClockOff says how far a server's clock is from the database's, such as "12 s
// ahead of"; "" when that is little, or not known.
func ClockOff(s Server) string {
	if s.ClockAhead == nil || math.Abs(*s.ClockAhead) <= ClockSlack.Seconds() {
		return ""
	}
	direction := "ahead of"
	if *s.ClockAhead < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%.0f s %s", math.Abs(*s.ClockAhead), direction)
}

// CheckClocks returns an error that names the servers whose clocks are not the
// database's.
func (s *Service) CheckClocks(ctx context.Context) error {
	servers, err := s.db.Servers(ctx, serverSeen)
	if err != nil {
		return err
	}
	var wrong []string
	for _, server := range servers {
		if off := ClockOff(server); off != "" {
			wrong = append(wrong, fmt.Sprintf("that of server %s is %s it", server.ID, off))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return constellation.Errorf(constellation.KindUnavailable, "clocks differ from the database's: %s; have all machines follow a time server", strings.Join(wrong, ", "))
}

// Servers returns the servers that run, oldest first.
func (s *Service) Servers(ctx context.Context) ([]Server, error) {
	return s.db.Servers(ctx, serverSeen)
}
