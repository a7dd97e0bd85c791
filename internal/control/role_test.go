package control_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestRoles is who may do what: every use case by every sort of principal.
// "+" is allowed (any other outcome than a refusal), "-" is refused.
func TestRoles(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	version := h.push(t, "neo", "hello", hashA)
	s, other := h.satellite(t, "edge"), h.satellite(t, "other")
	l, err := h.CreateLaunch(ctx, shell, s.ID, control.NewLaunch{Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	const missing = "00000000-0000-4000-8000-000000000000"
	limited := func(p control.Principal, id string) control.Principal {
		p.KeyID, p.SatelliteID = missing, id
		return p
	}
	h.account(t, "someone", constellation.RoleAdmin)
	admin, operator, viewer := h.account(t, "ad", constellation.RoleAdmin), h.account(t, "op", constellation.RoleOperator), h.account(t, "vi", constellation.RoleViewer)
	principals := []control.Principal{
		shell, admin, operator, viewer,
		limited(admin, s.ID), limited(operator, s.ID), limited(viewer, s.ID), limited(admin, other.ID),
		{},
	}
	q := control.ListQuery{}
	rows := []struct {
		name string
		do   func(control.Principal) error
		want string // shell admin operator viewer, admin/operator/viewer key of this satellite, admin key of another, nobody
	}{
		{"ListAccounts", func(p control.Principal) error { _, err := h.ListAccounts(ctx, p, "", q); return err }, "++-------"},
		{"CreateAccount", func(p control.Principal) error {
			_, err := h.CreateAccount(ctx, p, control.NewAccount{})
			return err
		}, "++-------"},
		{"GetAccount own", func(p control.Principal) error { _, err := h.GetAccount(ctx, p, p.Username); return err }, "++++++++-"},
		{"GetAccount other", func(p control.Principal) error { _, err := h.GetAccount(ctx, p, "someone"); return err }, "++-------"},
		{"UpdateAccount", func(p control.Principal) error {
			_, err := h.UpdateAccount(ctx, p, "nobody", control.AccountChange{})
			return err
		}, "++-------"},
		{"UpdateAccount own", func(p control.Principal) error {
			_, err := h.UpdateAccount(ctx, p, p.Username, control.AccountChange{})
			return err
		}, "++-------"},
		{"DeleteAccount", func(p control.Principal) error { return h.DeleteAccount(ctx, p, "nobody") }, "++-------"},
		{"ListKeys own", func(p control.Principal) error { _, err := h.ListKeys(ctx, p, p.Username, q); return err }, "++++++++-"},
		{"ListKeys other", func(p control.Principal) error { _, err := h.ListKeys(ctx, p, "someone", q); return err }, "++-------"},
		{"CreateKey own", func(p control.Principal) error {
			_, _, err := h.CreateKey(ctx, p, p.Username, control.NewKey{})
			return err
		}, "++++++++-"},
		{"CreateKey other", func(p control.Principal) error {
			_, _, err := h.CreateKey(ctx, p, "someone", control.NewKey{Name: "k", Role: new(constellation.RoleViewer)})
			return err
		}, "++-------"},
		{"RevokeKey other", func(p control.Principal) error { return h.RevokeKey(ctx, p, "someone", missing) }, "++-------"},
		{"ListAlgorithms", func(p control.Principal) error { _, err := h.ListAlgorithms(ctx, p, q); return err }, "++++-----"},
		{"GetAlgorithm", func(p control.Principal) error { _, err := h.GetAlgorithm(ctx, p, "neo", "hello"); return err }, "++++-----"},
		{"ListAlgorithmVersions", func(p control.Principal) error {
			_, err := h.ListAlgorithmVersions(ctx, p, "neo", "hello", q)
			return err
		}, "++++-----"},
		{"GetAlgorithmVersion", func(p control.Principal) error { _, err := h.GetAlgorithmVersion(ctx, p, version.Ref()); return err }, "++++-----"},
		{"PushAlgorithm", func(p control.Principal) error {
			_, _, err := h.PushAlgorithm(ctx, p, control.Push{}, func(context.Context) error { return nil })
			return err
		}, "++-------"},
		{"CanPush algorithm", func(p control.Principal) error { return h.CanPush(p, "neo/hello") }, "++-------"},
		{"CanPush bundle", func(p control.Principal) error { return h.CanPush(p, "satellites/"+s.ID) }, "---------"},
		{"CanPush system", func(p control.Principal) error { return h.CanPush(p, "constellation/system") }, "---------"},
		{"CanPull algorithm", func(p control.Principal) error { return h.CanPull(p, "neo/hello") }, "++++-----"},
		{"CanPull bundle", func(p control.Principal) error { return h.CanPull(p, "satellites/"+s.ID) }, "+++-++---"},
		{"CanPull system", func(p control.Principal) error { return h.CanPull(p, "constellation/system") }, "++++++++-"},
		{"ListSatellites", func(p control.Principal) error { _, err := h.ListSatellites(ctx, p, q); return err }, "++++++++-"},
		{"CreateSatellite", func(p control.Principal) error {
			_, err := h.CreateSatellite(ctx, p, control.NewSatellite{})
			return err
		}, "++-------"},
		{"GetSatellite", func(p control.Principal) error { _, err := h.GetSatellite(ctx, p, s.ID); return err }, "+++++++--"},
		{"UpdateSatellite", func(p control.Principal) error {
			_, err := h.UpdateSatellite(ctx, p, s.ID, nil, control.SatelliteChange{})
			return err
		}, "++--+----"},
		{"DeleteSatellite", func(p control.Principal) error { return h.DeleteSatellite(ctx, p, s.ID, ptr(int64(99))) }, "++--+----"},
		{"ListSatelliteVersions", func(p control.Principal) error { _, err := h.ListSatelliteVersions(ctx, p, s.ID, q); return err }, "+++++++--"},
		{"GetSatelliteVersion", func(p control.Principal) error { _, err := h.GetSatelliteVersion(ctx, p, s.ID, 1); return err }, "+++++++--"},
		{"CreateSatelliteVersion", func(p control.Principal) error {
			_, _, err := h.CreateSatelliteVersion(ctx, p, s.ID, ptr(int64(99)), control.VersionSpec{})
			return err
		}, "++--+----"},
		{"DiffSatelliteVersions", func(p control.Principal) error {
			_, err := h.DiffSatelliteVersions(ctx, p, s.ID, 1, 1)
			return err
		}, "+++++++--"},
		{"ListSatelliteKeys", func(p control.Principal) error { _, err := h.ListSatelliteKeys(ctx, p, s.ID, q); return err }, "+++++++--"},
		{"CreateSatelliteKey", func(p control.Principal) error {
			_, _, err := h.CreateSatelliteKey(ctx, p, s.ID, control.NewSatelliteKey{})
			return err
		}, "++--+----"},
		{"RevokeSatelliteKey", func(p control.Principal) error { return h.RevokeSatelliteKey(ctx, p, s.ID, missing) }, "++--+----"},
		{"ListLaunches", func(p control.Principal) error { _, err := h.ListLaunches(ctx, p, s.ID, q); return err }, "+++++++--"},
		{"CreateLaunch", func(p control.Principal) error {
			_, err := h.CreateLaunch(ctx, p, s.ID, control.NewLaunch{})
			return err
		}, "+++-++---"},
		{"GetLaunch", func(p control.Principal) error { _, err := h.GetLaunch(ctx, p, s.ID, l.ID); return err }, "+++++++--"},
		{"UpdateLaunch", func(p control.Principal) error {
			_, err := h.UpdateLaunch(ctx, p, s.ID, l.ID, nil, control.LaunchChange{})
			return err
		}, "+++-++---"},
		{"DeleteLaunch", func(p control.Principal) error { return h.DeleteLaunch(ctx, p, s.ID, missing, nil) }, "+++-++---"},
		{"LaunchBundle", func(p control.Principal) error { _, _, err := h.LaunchBundle(ctx, p, s.ID, l.ID); return err }, "+++-++---"},
		{"BundleDocument", func(p control.Principal) error {
			_, err := h.BundleDocument(ctx, p, s.ID, bundle.Digest(nil))
			return err
		}, "+++-++---"},
		{"ListSessions other", func(p control.Principal) error { _, err := h.ListSessions(ctx, p, "someone"); return err }, "++-------"},
		{"RevokeSession other", func(p control.Principal) error { return h.RevokeSession(ctx, p, "someone", missing) }, "++-------"},
		{"EndSessions other", func(p control.Principal) error { return h.EndSessions(ctx, p, "someone") }, "++-------"},
		{"InviteAccount", func(p control.Principal) error { _, err := h.InviteAccount(ctx, p, "-", "viewer"); return err }, "++-------"},
		{"ResetPassword", func(p control.Principal) error { _, err := h.ResetPassword(ctx, p, "nobody"); return err }, "++-------"},
		{"System", func(p control.Principal) error { _, err := h.System(ctx, p); return err }, "++-------"},
		{"ExportEvents", func(p control.Principal) error {
			return h.ExportEvents(ctx, p, control.EventQuery{}, func([]constellation.Event) error { return nil })
		}, "++-------"},
		{"Find", func(p control.Principal) error { _, err := h.Find(ctx, p, "x"); return err }, "++++-----"},
		{"ListUses", func(p control.Principal) error { _, err := h.ListUses(ctx, p, version.Ref(), q); return err }, "++++-----"},
		{"UsageCounts", func(p control.Principal) error { _, err := h.UsageCounts(ctx, p, nil); return err }, "++++-----"},
		{"ListEvents", func(p control.Principal) error { _, err := h.ListEvents(ctx, p, control.EventQuery{}); return err }, "++-------"},
	}
	for _, row := range rows {
		got := make([]byte, len(principals))
		for i, p := range principals {
			err := row.do(p)
			kind := constellation.KindOf(err)
			got[i] = '+'
			if kind == constellation.KindForbidden || kind == constellation.KindUnauthenticated {
				got[i] = '-'
			}
			if p.Role == "" && kind != constellation.KindUnauthenticated {
				t.Errorf("%s by nobody = %v, want unauthenticated", row.name, err)
			}
			if kind == constellation.KindInternal {
				t.Errorf("%s by %+v = %v", row.name, p, err)
			}
		}
		if diff := cmp.Diff(row.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	page, err := h.ListSatellites(ctx, principals[6], q)
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != s.ID {
		t.Errorf("a limited key lists %+v, %v, want its own satellite", page.Items, err)
	}
}
