package control

import (
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Principal is who asks: an account through a session, one of its API keys,
// or the shell. Role is the lower of the key's and the account's.
type Principal struct {
	AccountID, Username string
	Role                constellation.Role
	KeyID               string // "" when no key was used
	SessionID           string // "" outside of a browser's session
	SatelliteID         string // "" unless the key is limited to one satellite
	Scope               constellation.KeyScope
	Address             string // the caller's
}

// Shell is administration from a shell with the database at hand.
func Shell() Principal {
	return Principal{Username: constellation.ActorShell, Role: constellation.RoleAdmin}
}

// may returns nil when the principal has a role at least as high as role; doing
// says what for, as the start of a sentence. A key with a scope may nothing
// that is not of its repositories: see mayRepository.
func (p Principal) may(role constellation.Role, doing string) error {
	switch {
	case p.Scope != "":
		return p.refuseScope(doing)
	case p.Role.Rank() == 0:
		return constellation.Errorf(constellation.KindUnauthenticated, "authorization required: sign in, or give an API key")
	case p.Role.Rank() >= role.Rank():
		return nil
	case p.KeyID != "":
		return constellation.Errorf(constellation.KindForbidden, "%s needs the role %s; this API key of %s has the role %s", doing, role, p.Username, p.Role)
	}
	return constellation.Errorf(constellation.KindForbidden, "%s needs the role %s; %s has the role %s", doing, role, p.Username, p.Role)
}

// refuseScope returns why a key with a scope may not do something.
func (p Principal) refuseScope(doing string) error {
	return constellation.Errorf(constellation.KindForbidden, "%s is not what this API key is for: it may push to and pull from %s, and nothing else; use another key", doing, p.Scope.Repositories())
}

// Allows returns nil when the principal's role is at least role, before anybody
// looks at what exactly is asked.
func (p Principal) Allows(role constellation.Role) error { return p.may(role, "this request") }

// mayEverywhere is may, for what is not of one satellite.
func (p Principal) mayEverywhere(role constellation.Role, doing string) error {
	if err := p.may(role, doing); err != nil {
		return err
	}
	if p.SatelliteID != "" {
		return constellation.Errorf(constellation.KindForbidden, "%s needs an API key for every satellite; this one is limited to satellite %s", doing, p.SatelliteID)
	}
	return nil
}

// mayRepository is mayEverywhere, for what is of one repository of the registry: a key with
// a scope needs the role too.
func (p Principal) mayRepository(role constellation.Role, repository, doing string) error {
	if p.Scope != "" && !p.Scope.Pushes(repository) {
		return p.refuseScope(doing)
	}
	p.Scope = ""
	return p.mayEverywhere(role, doing)
}

// maySatellite is may, for what is of one satellite.
func (p Principal) maySatellite(role constellation.Role, satelliteID, doing string) error {
	if err := p.may(role, doing); err != nil {
		return err
	}
	if p.SatelliteID != "" && !strings.EqualFold(p.SatelliteID, satelliteID) {
		return constellation.Errorf(constellation.KindForbidden, "this API key is limited to satellite %s; use one for this satellite", p.SatelliteID)
	}
	return nil
}

// managesAccounts reports whether the principal may manage every account.
func (p Principal) managesAccounts() bool {
	return p.Role == constellation.RoleAdmin && p.SatelliteID == "" && p.Scope == ""
}

// mayAccount lets admins at any account, and everyone at their own.
func (p Principal) mayAccount(username, doing string) error {
	if p.AccountID != "" && constellation.Fold(p.Username) == constellation.Fold(username) {
		return p.may(constellation.RoleViewer, doing)
	}
	return p.mayEverywhere(constellation.RoleAdmin, doing)
}

// covers reports whether a key of this role and satellite is no more than the
// principal itself may do.
func (p Principal) covers(role constellation.Role, satelliteID string) bool {
	return p.Scope == "" && p.Role.Rank() >= role.Rank() && (p.SatelliteID == "" || strings.EqualFold(p.SatelliteID, satelliteID))
}

// CanPull reports whether the principal may read a repository of the registry:
// algorithms with any role, bundles from operator on, the system image with
// any key. One with a scope pulls what it may push: clients look for the blobs
// that they need not send.
func (s *Service) CanPull(p Principal, repository string) error {
	const doing = "pulling this image"
	first, second, ok := strings.Cut(repository, "/")
	switch {
	case repository == constellation.SystemRepository:
		return p.may(constellation.RoleViewer, doing)
	case ok && first == "satellites":
		return p.maySatellite(constellation.RoleOperator, second, "pulling a bundle")
	}
	if err := p.mayRepository(constellation.RoleViewer, repository, doing); err != nil {
		return err
	}
	if checkRepository(first, second) != nil {
		return constellation.Errorf(constellation.KindNotFound, "there is no such repository; algorithms are OWNER/NAME, bundles satellites/SATELLITE_ID")
	}
	return nil
}

// CanPush reports whether the principal may write to a repository: admins to
// algorithms, nobody to bundles and the system image.
func (s *Service) CanPush(p Principal, repository string) error {
	if err := p.mayRepository(constellation.RoleAdmin, repository, "pushing an image"); err != nil {
		return err
	}
	first, second, _ := strings.Cut(repository, "/")
	switch first {
	case "satellites":
		return constellation.Errorf(constellation.KindForbidden, "bundles are made by the mothership and cannot be pushed; edit the satellite or its launch")
	case "constellation":
		return constellation.Errorf(constellation.KindForbidden, "%s is the mothership's own and cannot be pushed; push algorithms to OWNER/NAME", repository)
	}
	return checkRepository(first, second)
}

func checkRepository(owner, name string) error {
	var v constellation.Validation
	constellation.CheckOwnerName(&v, "owner", owner, "name", name)
	return v.Err()
}
