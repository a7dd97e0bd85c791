package apply

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Direction is where a rollback goes.
type Direction string

// The directions. Clearing stays at the version that is installed, and takes
// away what a deploy left that did not get through.
const (
	Back     Direction = "back"
	Forward  Direction = "forward"
	Clearing Direction = "clear"
)

// RollbackTarget is the version that a rollback brings, seen from the one that
// is installed.
type RollbackTarget struct {
	Version   int
	Direction Direction
	Failed    int  // version whose deploy did not get through, 0 for none
	GoingOn   bool // an earlier rollback did not get through, and had this target
}

const noTarget = "there is no version to go back to"

// RollbackTo chooses the version that a rollback brings: the wanted one, or with
// 0 the last one that was ready before what was tried last. A deploy that did
// not get through was tried after the installed version got ready, which so is
// the one to be at. A version that was gone back from is not come back to
// unless it is named.
func (i *Inventory) RollbackTo(wanted int) (RollbackTarget, error) {
	kept := i.kept()
	at := slices.IndexFunc(i.History, func(p PastVersion) bool { return p.Version == i.Installed })
	t := RollbackTarget{Version: wanted}
	if i.RolloutID != "" || i.Wanted != i.Installed {
		t.Failed = i.Wanted
	}
	switch {
	case wanted > 0:
		if !slices.ContainsFunc(i.History, func(p PastVersion) bool { return p.Version == wanted }) {
			return t, fmt.Errorf("version %d is not kept on the cluster; it keeps %s", wanted, kept)
		}
	case t.Failed > 0 && i.Back:
		t.Version, t.Failed, t.GoingOn = i.Wanted, 0, true
	case t.Failed > 0 && i.Installed == 0:
		return t, fmt.Errorf("%s: no version was ready in this namespace yet; deploy again, or 'remove' takes off what is there", noTarget)
	case t.Failed > 0 && at < 0:
		return t, fmt.Errorf("%s: version %d is installed and the cluster does not keep it, so what the deploy of version %d left cannot be cleared; deploy version %d again", noTarget, i.Installed, t.Failed, i.Installed)
	case t.Failed > 0:
		t.Version = i.Installed
	default:
		t.Version = i.readyBefore(at)
	}
	if t.Version == 0 {
		return t, fmt.Errorf("%s: version %d is installed, and none of those that the cluster keeps (%s) was ready before it; to go to one of them all the same, name it", noTarget, i.Installed, kept)
	}
	t.Direction = i.direction(at, t.Version)
	return t, nil
}

// readyBefore returns the version that was ready before the one at a place of
// the history, 0 when there is none.
func (i *Inventory) readyBefore(at int) int {
	if at < 0 {
		at = len(i.History) // the installed one is too large to be kept
	}
	for _, p := range slices.Backward(i.History[:at]) {
		if !p.RolledBack && p.Version != i.Installed {
			return p.Version
		}
	}
	return 0
}

// direction says where a version of the history is from that at a place of it.
func (i *Inventory) direction(at, version int) Direction {
	if version == i.Installed {
		return Clearing
	}
	to := slices.IndexFunc(i.History, func(p PastVersion) bool { return p.Version == version })
	if to >= 0 && !i.History[to].RolledBack && (at < 0 || to < at) {
		return Back
	}
	return Forward
}

// kept lists the versions of the history.
func (i *Inventory) kept() string {
	if len(i.History) == 0 {
		return "none"
	}
	var list []string
	for _, p := range i.History {
		list = append(list, strconv.Itoa(p.Version))
	}
	return strings.Join(list, ", ")
}
