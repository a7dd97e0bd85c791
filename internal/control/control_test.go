package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

const (
	hashA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hashB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	hashC = "cccccccccccccccccccccccccccccccccccccccc"
)

// house is a mothership with a clock that tests move and a registry in memory.
type house struct {
	*control.Service
	db      *postgres.DB
	options control.Options
	content *content
	stands  atomic.Pointer[time.Time]
	shift   atomic.Int64 // nanoseconds that the clock is ahead
}

func newHouse(t *testing.T) *house {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{db: postgrestest.New(t), content: &content{manifests: map[string][]byte{}}}
	system := h.content.add(t, "constellation/system", "system")
	h.options = control.Options{
		DB: h.db, Sealer: sealer, Content: h.content, PublicURL: "https://mothership.example.com", Version: "1.2.3",
		SystemImage: func(context.Context) (bundle.System, error) {
			return bundle.System{Version: "1.2.3", Image: bundle.Image{
				Repository: "constellation/system", Digest: system, MediaType: string(types.OCIManifestSchema1), Platforms: []string{"linux/amd64"},
			}}, nil
		},
		Now: func() time.Time {
			now := time.Now()
			if stands := h.stands.Load(); stands != nil {
				now = *stands
			}
			return now.Add(time.Duration(h.shift.Load()))
		},
	}
	h.Service = control.New(h.options)
	return h
}

// stand stops the clock, but for ahead.
func (h *house) stand() {
	now := time.Now()
	h.stands.Store(&now)
}

func (h *house) ahead(d time.Duration) { h.shift.Add(int64(d)) }

// content is a registry's manifests in memory; it counts the reads.
type content struct {
	mu        sync.Mutex
	manifests map[string][]byte
	reads     atomic.Int64
}

func (c *content) Manifest(_ context.Context, repository, digest string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.Add(1)
	data, ok := c.manifests[repository+"@"+digest]
	if !ok {
		return nil, fmt.Errorf("no manifest %s@%s", repository, digest)
	}
	return data, nil
}

func (c *content) add(t *testing.T, repository, layer string) string {
	t.Helper()
	hash, err := v1.NewHash(bundle.Digest([]byte(layer)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: hash, Size: 3},
		Layers: []v1.Descriptor{{MediaType: types.OCILayer, Digest: hash, Size: int64(len(layer))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests[repository+"@"+bundle.Digest(data)] = data
	return bundle.Digest(data)
}

// push registers neo/hello or the like under a hash; the layer makes the digest.
func (h *house) push(t *testing.T, owner, name, hash string) *constellation.AlgorithmVersion {
	t.Helper()
	ref := constellation.AlgorithmRef{Owner: owner, Name: name, Hash: hash}
	digest := h.content.add(t, ref.Repository(), ref.String())
	v, _, err := h.PushAlgorithm(t.Context(), control.Shell(), control.Push{
		Ref: ref, Image: constellation.Image{Digest: digest, MediaType: string(types.OCIManifestSchema1), Size: 10, Platforms: []string{"linux/amd64"}},
	}, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// satellite makes a satellite with neo/hello (which must be pushed) at foo/bar.
func (h *house) satellite(t *testing.T, name string) *constellation.Satellite {
	t.Helper()
	s, err := h.CreateSatellite(t.Context(), control.Shell(), control.NewSatellite{
		Name: name, Algorithms: []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hashA, VanityURL: "foo/bar", Replicas: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// account makes an account and returns it as a signed-in principal.
func (h *house) account(t *testing.T, username string, role constellation.Role) control.Principal {
	t.Helper()
	a, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: username, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return control.Principal{AccountID: a.ID, Username: a.Username, Role: role, Address: "192.0.2.1"}
}

// events returns "action target" of the audit log, oldest first.
func (h *house) events(t *testing.T) []string {
	t.Helper()
	page, err := h.ListEvents(t.Context(), control.Shell(), control.EventQuery{ListQuery: control.ListQuery{Sort: "at", Limit: 500}})
	if err != nil {
		t.Fatal(err)
	}
	list := make([]string, len(page.Items))
	for i, e := range page.Items {
		list[i] = e.Action + " " + e.TargetName
	}
	return list
}

// wantKind checks an error's kind and that its message is a sentence for
// users: no SQL, no Go.
func wantKind(t *testing.T, what string, err error, want constellation.Kind) {
	t.Helper()
	if got := constellation.KindOf(err); got != want {
		t.Errorf("%s = %v (%s), want %s", what, err, got, want)
		return
	}
	for _, leak := range []string{"SQLSTATE", "pgx", "%!", "ERROR"} {
		if err != nil && strings.Contains(err.Error(), leak) && !strings.Contains(err.Error(), ": ERROR:") {
			t.Errorf("%s = %v, which leaks %q", what, err, leak)
		}
	}
}

// fields returns the field paths of an error.
func fields(err error) []string {
	var e *constellation.Error
	if !asError(err, &e) {
		return nil
	}
	list := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		list[i] = f.Field
	}
	return list
}

func ptr[T any](v T) *T { return &v }
