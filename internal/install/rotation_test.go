package install_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

// rotate makes the mothership sign with a new key, as its own rotation does.
func (m *mother) rotate(t *testing.T, grace time.Duration, revoked bool) {
	t.Helper()
	next := newKey(t)
	r, err := bundle.Rotate(m.key, next, len(m.bundle.Signature.Rotations)+1, time.Now(), time.Now().Add(grace), revoked)
	if err != nil {
		t.Fatal(err)
	}
	m.sign(t, next, append(m.bundle.Signature.Rotations, r)...)
}

// sign makes the bundle again, with another key.
func (m *mother) sign(t *testing.T, key ed25519.PrivateKey, rotations ...bundle.Rotation) {
	t.Helper()
	b, err := bundle.Build(t.Context(), m.plan, content(m.blobs), key, rotations...)
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key, m.bundle = key, b
	for digest, data := range b.Documents {
		m.blobs[digest] = data
	}
}

func logsOf() health.LogOptions { return health.LogOptions{} }

// pins returns the IDs of the keys that a machine trusts.
func pins(t *testing.T, f store.Folder) string {
	t.Helper()
	trust, err := f.ReadTrust()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range trust.Motherships {
		ids = append(ids, p.KeyID)
	}
	return strings.Join(ids, " ")
}

func verify(t *testing.T, f store.Folder, trust string) error {
	t.Helper()
	_, err := install.Verify(t.Context(), f, trust, progress.New(io.Discard))
	return err
}

// TestRotationsLeadOn: a machine that pinned an older key goes on with the newest by
// itself, also when it slept through some, online and carried; and never back.
func TestRotationsLeadOn(t *testing.T) {
	t.Parallel()
	m, f, site := newMother(t, newKey(t), 1, 30_000), folder(t), folder(t)
	mustGet(t, f, m.options())
	first := m.bundle.Signature.KeyID
	old := mustExport(t, f, filepath.Join(t.TempDir(), "old.tar"), 0).Files[0]
	if _, err := importInto(t, site.Root, old, first); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.rotate(t, time.Hour, false)
	}
	last := m.bundle.Signature.KeyID
	var said bytes.Buffer
	o := m.options()
	o.Progress = progress.New(&said)
	if r := mustGet(t, f, o); r.Unchanged || r.Fetched != 0 {
		t.Errorf("get after rotations = %+v, want it taken again with no blob fetched", r)
	}
	if got := pins(t, f); got != last || !strings.Contains(said.String(), "rotated its key: trusting "+last+" from now on, which "+first+" leads to") {
		t.Errorf("the machine trusts %s and said %q; want %s", got, said.String(), last)
	}
	if r := mustGet(t, f, m.options()); !r.Unchanged {
		t.Errorf("get again = %+v, want it unchanged", r)
	}
	fresh := mustExport(t, f, filepath.Join(t.TempDir(), "new.tar"), 0).Files[0]
	if err := verify(t, f, ""); err != nil {
		t.Errorf("verify after rotations = %v", err)
	}
	// Air-gapped: the site pinned the first key by hand.
	if r, err := importInto(t, site.Root, fresh, ""); err != nil || r.Unchanged || pins(t, site) != last {
		t.Fatalf("import after rotations = %+v, %v; the site trusts %s, want %s", r, err, pins(t, site), last)
	}
	if err := verify(t, site, ""); err != nil {
		t.Errorf("verify at the site = %v", err)
	}
	// What the first key signed is still good, moves nothing back, and replaces nothing.
	if r, err := importInto(t, site.Root, old, ""); err != nil || !r.Unchanged || pins(t, site) != last {
		t.Errorf("import of what the first key signed = %+v, %v; the site trusts %s", r, err, pins(t, site))
	}
	// A machine that starts empty each time, and is told the first key.
	if _, err := importInto(t, folder(t).Root, fresh, first); err != nil {
		t.Errorf("import with --trust and the first key = %v", err)
	}
	// A machine that confirms the newest key by hand takes the older one's too.
	other := folder(t)
	if _, err := importInto(t, other.Root, fresh, last); err != nil {
		t.Fatal(err)
	}
	elsewhere := store.Folder{Root: other.Root, SatelliteID: f.SatelliteID, LaunchID: f.LaunchID}
	if err := os.RemoveAll(elsewhere.Path()); err != nil {
		t.Fatal(err)
	}
	if _, err := importInto(t, other.Root, old, ""); err != nil || pins(t, other) != last {
		t.Errorf("import of an older launch = %v; the machine trusts %s", err, pins(t, other))
	}
}

// TestAnEarlierKeysTimeEnds: its launches are taken no more once that is over, nor
// when it is revoked; what is here can still be looked at.
func TestAnEarlierKeysTimeEnds(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	first, old := m.bundle.Signature.KeyID, t.TempDir()
	if err := os.CopyFS(old, os.DirFS(f.Path())); err != nil {
		t.Fatal(err)
	}
	m.rotate(t, -time.Hour, false)
	second := m.bundle.Signature.KeyID
	mustGet(t, f, m.options())
	back := func() { // the launch as the first key signed it
		t.Helper()
		for _, name := range []string{"launch.json.sig", "bundle/index.json"} {
			data, err := os.ReadFile(filepath.Join(old, name))
			if err == nil {
				err = os.WriteFile(f.Path(name), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	back()
	ended := []string{"signed with key " + first, "replaced by " + second, "get it again"}
	wantCode(t, verify(t, f, ""), fault.CodeIntegrity, ended...)
	_, err := importInto(t, f.Root, old, "")
	wantCode(t, err, fault.CodeIntegrity, ended...)
	if _, err := install.Status(t.Context(), f); err != nil && strings.Contains(err.Error(), "signed with") {
		t.Errorf("status of a launch whose key's time is over = %v", err)
	}
	if err := install.Logs(t.Context(), f, logsOf(), io.Discard); err != nil && strings.Contains(err.Error(), "signed with") {
		t.Errorf("logs of a launch whose key's time is over = %v", err)
	}
	mustGet(t, f, m.options())
	if err := verify(t, f, ""); err != nil {
		t.Errorf("verify once it was got again = %v", err)
	}

	// Revoked: nobody but a person leads on, and then nothing before counts.
	m.rotate(t, time.Hour, true)
	third := m.bundle.Signature.KeyID
	_, err = install.Get(t.Context(), f, m.options())
	wantCode(t, err, fault.CodeIntegrity, "says that the key "+second+" before it is revoked", "--trust "+third)
	if got := pins(t, f); got != second {
		t.Errorf("the machine trusts %s after what it refused, want %s", got, second)
	}
	o := m.options()
	o.Trust = third
	mustGet(t, f, o)
	back()
	wantCode(t, verify(t, f, ""), fault.CodeIntegrity, "signed with key "+first, "revoked", "get it again")
	wantCode(t, install.Logs(t.Context(), f, logsOf(), io.Discard), fault.CodeIntegrity, "revoked")
	if got := pins(t, f); got != third {
		t.Errorf("the machine trusts %s, want %s", got, third)
	}
}

// TestAWrongRotationIsRefused: one sentence, and the machine trusts what it did.
func TestAWrongRotationIsRefused(t *testing.T) {
	t.Parallel()
	m := newMother(t, newKey(t), 1, 30_000)
	f := folder(t)
	mustGet(t, f, m.options())
	first, key := m.bundle.Signature.KeyID, m.key
	for range 3 {
		m.rotate(t, time.Hour, false)
	}
	good, last := m.bundle.Signature.Rotations, m.key
	evil := newKey(t)
	forged, err := bundle.Rotate(evil, last, 1, time.Now(), time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	fork, err := bundle.Rotate(key, evil, 1, time.Now(), time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key       ed25519.PrivateKey
		rotations []bundle.Rotation
		want      string
	}{
		"cut at its start": {last, good[1:], "this machine trusts " + first},
		"cut in between":   {last, []bundle.Rotation{good[0], good[2]}, "does not go on"},
		"cut at its end":   {last, good[:2], "lead to key"},
		"reordered":        {last, []bundle.Rotation{good[1], good[0], good[2]}, "does not go on"},
		"forged":           {last, []bundle.Rotation{forged}, "this machine trusts " + first},
		"another's":        {evil, good, "lead to key"},
		"too long":         {last, make([]bundle.Rotation, bundle.MaxRotations+1), "at most 64"},
	} {
		m.sign(t, tt.key, tt.rotations...)
		_, err := install.Get(t.Context(), f, m.options())
		t.Log(name)
		wantCode(t, err, fault.CodeIntegrity, tt.want)
		if got := pins(t, f); got != first {
			t.Errorf("%s: the machine trusts %s, want %s", name, got, first)
		}
	}
	m.sign(t, last, good...)
	mustGet(t, f, m.options())
	// Whoever has the first key cannot lead on elsewhere any more.
	m.sign(t, evil, fork)
	_, err = install.Get(t.Context(), f, m.options())
	wantCode(t, err, fault.CodeIntegrity, "this machine trusts "+bundle.KeyID(last.Public().(ed25519.PublicKey)))
}

// TestASignatureWithRotationsIsReadByOlderInstallers: an installer that knows none sees a key
// that it does not trust, and says what to do.
func TestASignatureWithRotationsIsReadByOlderInstallers(t *testing.T) {
	t.Parallel()
	m := newMother(t, newKey(t), 1, 30_000)
	m.rotate(t, time.Hour, false)
	text, err := json.Marshal(m.bundle.Signature)
	if err != nil {
		t.Fatal(err)
	}
	var known struct { // as releases before rotations have it
		KeyID     string `json:"key_id"`
		PublicKey []byte `json:"public_key"`
		Signature []byte `json:"signature"`
	}
	if err := json.Unmarshal(text, &known); err != nil || known.KeyID != m.bundle.Signature.KeyID || !ed25519.Verify(known.PublicKey, m.bundle.Root, known.Signature) {
		t.Errorf("an older installer reads %+v, %v", known, err)
	}
}
