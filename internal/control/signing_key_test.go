package control_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestSigningKeyRotates: another server signs with the new key at once, the launch
// carries the way to it, and the log says who did it.
func TestSigningKeyRotates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.push(t, "neo", "hello", hashA)
	satellite, admin := h.satellite(t, "edge"), h.account(t, "neo", constellation.RoleAdmin)
	launch, err := h.CreateLaunch(ctx, admin, satellite.ID, control.NewLaunch{Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	other := control.New(h.options)
	before, _, err := other.LaunchBundle(ctx, admin, launch.SatelliteID, launch.ID)
	if err != nil {
		t.Fatal(err)
	}
	first, err := h.SigningKey(ctx)
	if err != nil || first.Since == nil || len(first.Earlier) != 0 {
		t.Fatalf("the first key = %+v, %v", first, err)
	}
	if _, err := h.RotateSigningKey(ctx, admin, time.Hour, false); constellation.KindOf(err) != constellation.KindForbidden {
		t.Errorf("an admin's rotation over the network = %v, want it forbidden", err)
	}
	second, err := h.RotateSigningKey(ctx, control.Shell(), time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Earlier) != 1 || second.Earlier[0].ID != first.ID || second.Earlier[0].AcceptedUntil.Sub(second.Earlier[0].ReplacedAt) != time.Hour || second.Earlier[0].Revoked || second.ID == first.ID {
		t.Errorf("after a rotation the key is %+v", second)
	}
	after, _, err := other.LaunchBundle(ctx, admin, launch.SatelliteID, launch.ID)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := after.Signature.Chain()
	if err != nil || len(chain) != 1 || bundle.KeyID(ed25519.PublicKey(chain[0].OldKey)) != before.Signature.KeyID || after.Signature.KeyID != second.ID {
		t.Errorf("another server's bundle leads from %v to %s, %v; want from %s to %s", chain, after.Signature.KeyID, err, before.Signature.KeyID, second.ID)
	}
	if err := after.Signature.Verify(after.Root, nil); err != nil || string(after.Root) != string(before.Root) || bundle.PlanTag(after.Root, after.Signature) == bundle.PlanTag(before.Root, before.Signature) {
		t.Errorf("the bundle after a rotation: %v, tag %s", err, bundle.PlanTag(after.Root, after.Signature))
	}
	third, err := h.RotateSigningKey(ctx, control.Shell(), time.Hour, true)
	if err != nil || len(third.Earlier) != 2 || !third.Earlier[0].Revoked || !third.Earlier[1].Revoked || third.Earlier[1].ID != first.ID {
		t.Errorf("after a revocation the key is %+v, %v", third, err)
	}
	if n, err := h.Reseal(ctx, control.Shell()); err != nil || n != 0 {
		t.Errorf("Reseal = %d, %v; want nothing to do", n, err)
	}
	for range bundle.MaxRotations {
		if third, err = h.RotateSigningKey(ctx, control.Shell(), 0, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(third.Earlier) != bundle.MaxRotations {
		t.Errorf("after many rotations there are %d earlier keys, want the last %d", len(third.Earlier), bundle.MaxRotations)
	}
	page, err := h.ListEvents(ctx, control.Shell(), control.EventQuery{Action: "signing_key.rotate", ListQuery: control.ListQuery{Limit: 500}})
	if err != nil || len(page.Items) != bundle.MaxRotations+2 || page.Items[0].Actor != constellation.ActorShell {
		t.Errorf("the audit log has %d rotations, %v", len(page.Items), err)
	}
}
