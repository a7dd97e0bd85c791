package control

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

var errSkeleton = constellation.Errorf(constellation.KindInternal, "not written yet")

// Principal is who asks: an account through a session, one of its API keys,
// or the shell. Role is the lower of the key's and the account's.
type Principal struct {
	AccountID, Username string
	Role                constellation.Role
	KeyID               string // "" when no key was used
	SatelliteID         string // "" unless the key is limited to one satellite
	Address             string // the caller's
}

// Shell is administration from a shell with the database at hand.
func Shell() Principal { return Principal{Username: "shell", Role: constellation.RoleAdmin} }

// ListQuery asks for one page of a list. Limit 0 is 50, the most is 500. Sort
// is a column of the list's own allow-list, with "-" before it for descending.
type ListQuery struct {
	Q, Sort, Marker string
	Limit           int
}

// Page is one page of a list. Marker asks for the next one, "" at the end.
type Page[T any] struct {
	Items  []T
	Marker string
}

// NewAccount is what CreateAccount needs; Password may be "".
type NewAccount struct {
	Username string
	Role     constellation.Role
	Password string
}

// AccountChange is what UpdateAccount changes; nil leaves a field alone.
type AccountChange struct {
	Role     *constellation.Role
	Password *string
	Disabled *bool
}

// NewKey is what CreateKey needs; Role "" is the most the account may have.
type NewKey struct {
	Name        string
	Role        constellation.Role
	SatelliteID string
	ExpiresAt   *time.Time
}

// Push is an image that has been uploaded and asks to become a version.
type Push struct {
	Ref             constellation.AlgorithmRef
	SemanticVersion string
	Image           constellation.Image
	Runtime         constellation.Runtime
}

// AlgorithmSpec is one algorithm of a satellite as its editor wrote it;
// Algorithm is OWNER/NAME/HASH.
type AlgorithmSpec struct {
	Algorithm, VanityURL string
	Replicas             int
}

// NewSatellite is what CreateSatellite needs; ExpiresAt nil is in a year.
type NewSatellite struct {
	Name       string
	ExpiresAt  *time.Time
	Algorithms []AlgorithmSpec
}

// SatelliteChange is what UpdateSatellite changes; nil leaves a field alone.
type SatelliteChange struct {
	Name      *string
	ExpiresAt *time.Time
}

// NewSatelliteKey is what CreateSatelliteKey needs; ExpiresAt nil never does.
type NewSatelliteKey struct {
	Name      string
	ExpiresAt *time.Time
}

// NewLaunch is what CreateLaunch needs; SatelliteVersion 0 is the latest.
type NewLaunch struct {
	SatelliteVersion  int
	Name, Description string
}

// LaunchChange is what UpdateLaunch changes; nil leaves a field alone.
type LaunchChange struct {
	SatelliteVersion  *int
	Name, Description *string
}

// EventQuery asks for a page of the audit log.
type EventQuery struct {
	ListQuery
	Actor, Action, TargetKind, TargetID string
	Since, Until                        *time.Time
}

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

func (s *Service) AuthenticateKey(ctx context.Context, key, address string) (Principal, error) {
	return Principal{}, errSkeleton
}
func (s *Service) AuthenticatePassword(ctx context.Context, username, password, address string) (Principal, error) {
	return Principal{}, errSkeleton
}
func (s *Service) ListAccounts(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Account], error) {
	return Page[constellation.Account]{}, errSkeleton
}
func (s *Service) CreateAccount(ctx context.Context, p Principal, n NewAccount) (*constellation.Account, error) {
	return nil, errSkeleton
}
func (s *Service) GetAccount(ctx context.Context, p Principal, username string) (*constellation.Account, error) {
	return nil, errSkeleton
}
func (s *Service) UpdateAccount(ctx context.Context, p Principal, username string, c AccountChange) (*constellation.Account, error) {
	return nil, errSkeleton
}
func (s *Service) DeleteAccount(ctx context.Context, p Principal, username string) error {
	return errSkeleton
}
func (s *Service) ListKeys(ctx context.Context, p Principal, username string, q ListQuery) (Page[constellation.APIKey], error) {
	return Page[constellation.APIKey]{}, errSkeleton
}
func (s *Service) CreateKey(ctx context.Context, p Principal, username string, n NewKey) (string, *constellation.APIKey, error) {
	return "", nil, errSkeleton
}
func (s *Service) RevokeKey(ctx context.Context, p Principal, username, keyID string) error {
	return errSkeleton
}

// HasAdminKey says whether the account has a working admin API key, which the
// browser asks for before algorithms are added to a satellite.
func (s *Service) HasAdminKey(ctx context.Context, p Principal) (bool, error) {
	return false, errSkeleton
}
func (s *Service) SetupToken(ctx context.Context) (token string, expiresAt time.Time, err error) {
	return "", time.Time{}, errSkeleton
}
func (s *Service) CompleteSetup(ctx context.Context, token, username, password, address string) (*constellation.Account, error) {
	return nil, errSkeleton
}
func (s *Service) CreateSession(ctx context.Context, p Principal, userAgent string) (token string, expires time.Time, err error) {
	return "", time.Time{}, errSkeleton
}
func (s *Service) AuthenticateSession(ctx context.Context, token, address string) (Principal, error) {
	return Principal{}, errSkeleton
}
func (s *Service) EndSession(ctx context.Context, token string) error { return errSkeleton }
func (s *Service) ListAlgorithms(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Algorithm], error) {
	return Page[constellation.Algorithm]{}, errSkeleton
}
func (s *Service) GetAlgorithm(ctx context.Context, p Principal, owner, name string) (*constellation.Algorithm, error) {
	return nil, errSkeleton
}
func (s *Service) ListAlgorithmVersions(ctx context.Context, p Principal, owner, name string, q ListQuery) (Page[constellation.AlgorithmVersion], error) {
	return Page[constellation.AlgorithmVersion]{}, errSkeleton
}
func (s *Service) GetAlgorithmVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef) (*constellation.AlgorithmVersion, error) {
	return nil, errSkeleton
}
func (s *Service) PushAlgorithm(ctx context.Context, p Principal, push Push, store func(context.Context) error) (v *constellation.AlgorithmVersion, created bool, err error) {
	return nil, false, errSkeleton
}
func (s *Service) CanPush(p Principal, repository string) error { return errSkeleton }
func (s *Service) CanPull(p Principal, repository string) error { return errSkeleton }
func (s *Service) ListSatellites(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Satellite], error) {
	return Page[constellation.Satellite]{}, errSkeleton
}
func (s *Service) CreateSatellite(ctx context.Context, p Principal, n NewSatellite) (*constellation.Satellite, error) {
	return nil, errSkeleton
}
func (s *Service) GetSatellite(ctx context.Context, p Principal, id string) (*constellation.Satellite, error) {
	return nil, errSkeleton
}
func (s *Service) UpdateSatellite(ctx context.Context, p Principal, id string, ifMatch *int64, c SatelliteChange) (*constellation.Satellite, error) {
	return nil, errSkeleton
}
func (s *Service) DeleteSatellite(ctx context.Context, p Principal, id string, ifMatch *int64) error {
	return errSkeleton
}
func (s *Service) ListSatelliteVersions(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteVersion], error) {
	return Page[constellation.SatelliteVersion]{}, errSkeleton
}
func (s *Service) GetSatelliteVersion(ctx context.Context, p Principal, id string, number int) (*constellation.SatelliteVersion, error) {
	return nil, errSkeleton
}
func (s *Service) CreateSatelliteVersion(ctx context.Context, p Principal, id string, ifMatch *int64, specs []AlgorithmSpec) (v *constellation.SatelliteVersion, revision int64, err error) {
	return nil, 0, errSkeleton
}
func (s *Service) DiffSatelliteVersions(ctx context.Context, p Principal, id string, from, to int) (constellation.VersionDiff, error) {
	return constellation.VersionDiff{}, errSkeleton
}
func (s *Service) ListSatelliteKeys(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteKey], error) {
	return Page[constellation.SatelliteKey]{}, errSkeleton
}
func (s *Service) CreateSatelliteKey(ctx context.Context, p Principal, id string, n NewSatelliteKey) (string, *constellation.SatelliteKey, error) {
	return "", nil, errSkeleton
}
func (s *Service) RevokeSatelliteKey(ctx context.Context, p Principal, id, keyID string) error {
	return errSkeleton
}
func (s *Service) ListLaunches(ctx context.Context, p Principal, satelliteID string, q ListQuery) (Page[constellation.Launch], error) {
	return Page[constellation.Launch]{}, errSkeleton
}
func (s *Service) CreateLaunch(ctx context.Context, p Principal, satelliteID string, n NewLaunch) (*constellation.Launch, error) {
	return nil, errSkeleton
}
func (s *Service) GetLaunch(ctx context.Context, p Principal, satelliteID, launchID string) (*constellation.Launch, error) {
	return nil, errSkeleton
}
func (s *Service) UpdateLaunch(ctx context.Context, p Principal, satelliteID, launchID string, ifMatch *int64, c LaunchChange) (*constellation.Launch, error) {
	return nil, errSkeleton
}
func (s *Service) DeleteLaunch(ctx context.Context, p Principal, satelliteID, launchID string) error {
	return errSkeleton
}
func (s *Service) LaunchBundle(ctx context.Context, p Principal, satelliteID, launchID string) (*bundle.Bundle, *constellation.Launch, error) {
	return nil, nil, errSkeleton
}

// BundleDocument gives a bundle of the satellite that holds the digest.
func (s *Service) BundleDocument(ctx context.Context, p Principal, satelliteID, digest string) (*bundle.Bundle, error) {
	return nil, errSkeleton
}
func (s *Service) ListEvents(ctx context.Context, p Principal, q EventQuery) (Page[constellation.Event], error) {
	return Page[constellation.Event]{}, errSkeleton
}
func (s *Service) Idempotent(ctx context.Context, p Principal, r IdempotentRequest, do func(*Service) (*StoredResponse, error)) (stored *StoredResponse, replayed bool, err error) {
	return nil, false, errSkeleton
}
func (s *Service) Ready(ctx context.Context) error { return errSkeleton }
func (s *Service) PublicKey(ctx context.Context) (ed25519.PublicKey, error) {
	return nil, errSkeleton
}

// Stats are the mothership's totals, for metrics; at most a minute old.
type Stats struct{ Accounts, Algorithms, AlgorithmVersions, Satellites, Launches int64 }

func (s *Service) Stats(ctx context.Context) (Stats, error) { return Stats{}, errSkeleton }

// Purge removes expired sessions, answers of repeated requests older than a
// day and old login failures; the server calls it once an hour.
func (s *Service) Purge(ctx context.Context) error { return errSkeleton }
