package constellation

import (
	"slices"
	"time"
)

// NoticeKind is what sort of thing happened that people may be told.
type NoticeKind string

// The kinds of notices.
const (
	NoticeLaunchDegraded   NoticeKind = "launch.degraded"
	NoticeLaunchStale      NoticeKind = "launch.stale"
	NoticeLaunchBack       NoticeKind = "launch.back"
	NoticeLaunchExpiring   NoticeKind = "launch.expiring" // its satellite expires
	NoticeKeyExpiring      NoticeKind = "key.expiring"
	NoticeImportFailed     NoticeKind = "import.failed"
	NoticeQuotaNear        NoticeKind = "quota.near"
	NoticeStorageUnhealthy NoticeKind = "storage.unhealthy"
	NoticeStorageBack      NoticeKind = "storage.back"
	NoticeSignInThrottled  NoticeKind = "sign_in.throttled"
	NoticeBackupFailed     NoticeKind = "backup.failed"
	NoticeBackupOverdue    NoticeKind = "backup.overdue"
	NoticeTest             NoticeKind = "test" // somebody tries a destination; of no rule
)

// NoticeKinds are the kinds that rules are for, with what each tells.
var NoticeKinds = []struct {
	Kind NoticeKind
	Name string // short, for people
	Many string // "%d …" of several
}{
	{NoticeLaunchDegraded, "Launch degraded", "launches degraded"},
	{NoticeLaunchStale, "Launch stale", "launches stale"},
	{NoticeLaunchBack, "Launch back", "launches back"},
	{NoticeLaunchExpiring, "Launch about to expire", "launches about to expire"},
	{NoticeKeyExpiring, "Key about to expire", "keys about to expire"},
	{NoticeImportFailed, "Import failed", "imports failed"},
	{NoticeQuotaNear, "Quota nearly used up", "quotas nearly used up"},
	{NoticeStorageUnhealthy, "Storage unhealthy", "reports of unhealthy storage"},
	{NoticeStorageBack, "Storage well again", "reports of storage that is well again"},
	{NoticeSignInThrottled, "Sign-in throttled", "sign-ins throttled"},
	{NoticeBackupFailed, "Backup failed", "backups failed"},
	{NoticeBackupOverdue, "Backup overdue", "backups overdue"},
}

// Known reports whether there may be rules for the kind.
func (k NoticeKind) Known() bool { return k.index() >= 0 }

func (k NoticeKind) index() int {
	for i := range NoticeKinds {
		if NoticeKinds[i].Kind == k {
			return i
		}
	}
	return -1
}

// Title returns what people call the kind, of so many notices.
func (k NoticeKind) Title(n int) string {
	i := k.index()
	switch {
	case i < 0:
		return string(k)
	case n == 1:
		return NoticeKinds[i].Name
	}
	return NoticeKinds[i].Many
}

// Good reports whether the kind says that something is well again.
func (k NoticeKind) Good() bool { return k == NoticeLaunchBack || k == NoticeStorageBack }

// State reports whether the kind is how its subject is from then on: the next such
// notice of the same subject takes its place.
func (k NoticeKind) State() bool {
	return slices.Contains([]NoticeKind{NoticeLaunchDegraded, NoticeLaunchStale, NoticeLaunchBack, NoticeStorageUnhealthy, NoticeStorageBack}, k)
}

// Notice is something that happened and that people may be told.
type Notice struct {
	ID   int64
	At   time.Time
	Kind NoticeKind
	// SubjectKind is what it happened to, as the audit log says it: "launch",
	// "api_key", …; with its id, and its name for people.
	SubjectKind, SubjectID, SubjectName string
	SatelliteID                         *string // nil when it is of no satellite
	SatelliteName                       string
	Labels                              Labels `json:"-"` // of its launch over those of its satellite, when it is matched with rules
	Text                                string // one sentence or two, with no secret
}
