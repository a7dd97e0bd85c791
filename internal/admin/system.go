package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showSystem(r *request) error { return s.renderSystem(r, http.StatusOK, nil) }

func (s *server) renderSystem(r *request, status int, free *component.Confirm) error {
	system, err := s.control.System(r.Context(), r.p)
	if err != nil {
		return err
	}
	usage, err := s.control.Usage(r.Context(), r.p, shownSpace)
	if err != nil {
		return err
	}
	m := page.System{Frame: s.frame(r, "System"), Groups: s.systemGroups(system, usage), Space: s.space(usage), Free: free}
	m.Frame.Section = "system"
	m.Titled()
	return r.render(status, page.SystemPage(m))
}

// shownSpace is how many rows each table of what takes space has.
const shownSpace = 20

func (s *server) space(u *control.Usage) page.Space {
	o := s.control.Collection()
	m := page.Space{Grace: inHours(o.Grace), Tags: inHours(max(o.Grace, o.TagGrace)), Owners: u.Owners, More: u.MoreOwners}
	if g := u.Garbage; g != nil {
		m.Found, m.Garbage, m.MoreGarbage = component.Relative(g.FoundAt, s.now()), g.Largest[:min(shownSpace, len(g.Largest))], g.Repositories > shownSpace
		if g.Repositories > 0 {
			m.Frees = component.Bytes(g.Bytes)
		}
	}
	if len(u.Collections) > 0 && u.Collections[0].FinishedAt == nil {
		m.Running = component.Relative(u.Collections[0].StartedAt, s.now())
	}
	return m
}

// inHours is a grace as people say it.
func inHours(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return component.Count(int64(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return component.Count(int64(d/time.Hour), "hour")
	}
	return d.String()
}

func (s *server) confirmFree(r *request) error {
	return s.renderSystem(r, http.StatusOK, freeSpace(nil))
}

func freeSpace(p component.Problems) *component.Confirm {
	return &component.Confirm{
		Dialog: component.Dialog{Title: "Free space?", Close: "/system"}, Action: "/system/free", Token: newToken(), Does: "Free space", Problems: p,
	}
}

func (s *server) freeSpace(r *request) error {
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		return outcome{Target: "/system", Flash: component.Flash{Text: "What nothing needs is being freed in the background."}}, service.StartCollection(r.Context(), r.p)
	})
	if p, ok := problems(err); ok {
		return s.renderSystem(r, httpserve.Status(err), freeSpace(p))
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

func (s *server) systemGroups(m *control.System, u *control.Usage) []page.FactGroup {
	now := s.now()
	since := component.Relative(m.StartedAt, now)
	return []page.FactGroup{
		{Name: "Mothership", Facts: []page.Fact{
			{Name: "Version", Value: m.Version, Note: m.Go + ", " + m.Platform},
			{Name: "Address", Value: s.publicURL, Copy: s.publicURL},
			{Name: "Started", Value: since, Note: component.Exact(m.StartedAt)},
		}},
		{Name: "Database", Facts: []page.Fact{
			{Name: "PostgreSQL", Value: m.Database.Version},
			{Name: "Size", Value: component.Bytes(m.Database.Size), Note: "schema " + strconv.FormatInt(m.Database.Schema, 10)},
			{Name: "Connections", Value: fmt.Sprintf("%d in use of %d", m.Connections.InUse, m.Connections.Most), Note: fmt.Sprintf("%d open", m.Connections.Open)},
			{Name: "Rows", Value: component.Count(m.Totals.Satellites, "satellite") + ", " + component.Count(m.Totals.Launches, "launch instance"),
				Note: component.Count(m.Totals.Algorithms, "algorithm") + " with " + component.Count(m.Totals.AlgorithmVersions, "version") + ", " + component.Count(m.Totals.Accounts, "account")},
		}},
		{Name: "Registry", Facts: s.registryFacts(m, u)},
		{Name: "Signing key", Facts: s.signingFacts(m.SigningKey)},
		{Name: "Servers", Facts: s.serverFacts(m.Servers)},
		{Name: "Jobs", Facts: s.jobFacts(m)},
	}
}

func (s *server) serverFacts(servers []control.Server) []page.Fact {
	if len(servers) == 0 {
		return []page.Fact{{Name: "Servers", Value: "not known", Note: "none has shown itself in the last minute"}}
	}
	var facts []page.Fact
	for i, server := range servers[:min(shownSpace, len(servers))] {
		f := page.Fact{Name: "Server " + strconv.Itoa(i+1), Value: server.Version, Note: "started " + component.Exact(server.StartedAt) + ", " + server.ID}
		if off := control.ClockOff(server); off != "" {
			f.Status = &component.Status{Mark: "!", Word: "Its clock is " + off + " the database's; ", Tone: "warn"}
		}
		facts = append(facts, f)
	}
	return facts
}

func (s *server) signingFacts(k control.SigningKey) []page.Fact {
	facts := []page.Fact{
		{Name: "Key ID", Value: k.ID, Note: "Whoever takes a launch in by hand confirms it with --trust: tell it by another way than the launch travels.", Copy: k.ID},
		{Name: "Public key", Value: k.PublicKey[:16] + "…", Note: "Ed25519, base64", Copy: k.PublicKey},
	}
	if k.Since != nil {
		facts = append(facts, page.Fact{Name: "Signs since", Value: component.Relative(*k.Since, s.now()), Note: component.Exact(*k.Since)})
	}
	for _, e := range k.Earlier[:min(shownSpace, len(k.Earlier))] {
		f := page.Fact{Name: "Earlier key", Value: e.ID, Note: "replaced " + component.Exact(e.ReplacedAt) + "; what it signed is taken until " + component.Exact(e.AcceptedUntil)}
		if e.Revoked {
			f.Note = "replaced " + component.Exact(e.ReplacedAt) + "; revoked: nothing that it signed is taken"
		}
		facts = append(facts, f)
	}
	return facts
}

func (s *server) registryFacts(m *control.System, u *control.Usage) []page.Fact {
	storage := page.Fact{Name: "Storage used", Value: "not known", Note: "it is being counted for the first time"}
	if u.CountedAt != nil {
		storage.Value, storage.Note = component.Bytes(u.Total.Bytes), component.Count(u.Total.Blobs, "blob")
	}
	image := page.Fact{Name: "System image", Status: &component.Status{Mark: "◐", Word: "Not there yet", Tone: "warn"}, Note: component.Sentence(m.SystemImageWhy)}
	if m.SystemImage != nil {
		digest := m.SystemImage.Image.Digest
		image = page.Fact{
			Name: "System image", Value: s.registry + "/" + m.SystemImage.Image.Repository + ":" + constellation.ImageTag(m.SystemImage.Version), Note: digest[:min(len(digest), 19)] + "…",
			Copy: s.registry + "/" + m.SystemImage.Image.Repository + "@" + digest,
		}
	}
	facts := []page.Fact{storage, image}
	if n := len(m.Lost); n > 0 {
		facts = append(facts, page.Fact{Name: "Lost", Status: &component.Status{Mark: "✕", Word: component.Count(n, "blob") + " lost; ", Tone: "bad"},
			Note: "First " + m.Lost[0].String() + ". Restore the images from a backup, or push them again; “mothership storage verify” names all that is lost."})
	}
	return facts
}

func (s *server) jobFacts(m *control.System) []page.Fact {
	purge := page.Fact{Name: "Remove what has expired", Value: "every hour", Note: "not run yet"}
	if m.PurgedAt != nil {
		purge.Note = "last " + component.Relative(*m.PurgedAt, s.now())
	}
	imports := page.Fact{Name: "Imports of images", Value: "none under way"}
	if n := m.Database.Importing; n > 0 {
		imports.Value = strconv.Itoa(n) + " under way"
	}
	if n := m.Database.Failed; n > 0 {
		imports.Status = &component.Status{Mark: "✕", Word: strconv.Itoa(n) + " failed; ", Tone: "bad"}
		imports.Note = "Their algorithm's page says which."
	}
	return []page.Fact{purge, imports}
}
