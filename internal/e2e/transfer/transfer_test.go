package transfer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install"
)

// talk is the most that requests, answers and the plan may take beside what
// has to travel.
const talk = 128 << 10

// Of ten algorithms on a shared base one is edited, then one is added: only
// what is new travels, from the mothership and into the registry.
func TestOnlyWhatIsNewTravels(t *testing.T) {
	w := newWorld(t)
	base := layer(t, 4<<20)
	var list []apiv1.SatelliteAlgorithm
	add := func(n, number int) (size int64) {
		t.Helper()
		name := fmt.Sprintf("algorithm-%d", n)
		reference, size := w.publish(t, name, number, base, layer(t, 512<<10))
		route := apiv1.SatelliteAlgorithm{Algorithm: reference, VanityURL: "ten/" + name, Replicas: 1}
		if n < len(list) {
			list[n] = route
		} else {
			list = append(list, route)
		}
		return size
	}
	for n := range 10 {
		add(n, 1)
	}
	w.launches(t, list)
	first := w.get(t)
	if least := int64(9 << 20); first < least {
		t.Fatalf("the first get took %d bytes, want at least %d: the wire does not count", first, least)
	}
	w.pushTo(t, w.registry, "single")
	w.pushTo(t, w.registry, "per-image")

	for _, change := range []struct {
		name string
		n    int
	}{{"edited", 6}, {"added", 10}} {
		own := add(change.n, 2)
		w.edit(t, list)
		if got := w.get(t); got < own || got > own+talk {
			t.Errorf("one algorithm %s: get took %d bytes, want the %d that are new and at most %d more", change.name, got, own, talk)
		}
		for _, layout := range []string{"single", "per-image"} {
			if got := w.pushTo(t, w.registry, layout); got < own || got > own+talk {
				t.Errorf("one algorithm %s: push took %d bytes (%s), want the %d that are new and at most %d more", change.name, got, layout, own, talk)
			}
		}
	}
}

// get downloads the launch and gives the bytes that came.
func (w *world) get(t *testing.T) int64 {
	t.Helper()
	w.away.reset()
	var result install.GetResult
	w.operate(t, &result, "get")
	if moved := w.away.down.Load(); result.Fetched > moved {
		t.Errorf("get says that %d bytes came, and it were %d", result.Fetched, moved)
	}
	return w.away.down.Load()
}

// pushTo pushes the launch into a registry and gives the bytes that went. A
// push again says that all is there.
func (w *world) pushTo(t *testing.T, to *wire, layout string) int64 {
	t.Helper()
	w.operate(t, &install.Configured{}, "configure", "stage.container_registry="+to.address+"/team", "stage.registry.insecure=true", "stage.registry.layout="+layout)
	to.reset()
	var result install.PushResult
	w.operate(t, &result, "push")
	sent := to.up.Load()
	if result.Bytes > sent {
		t.Errorf("push says that it sent %d bytes, and it were %d", result.Bytes, sent)
	}
	to.reset()
	w.operate(t, &result, "push")
	if result.Pushed != 0 || to.up.Load() > talk {
		t.Errorf("push again sent %d bytes: %+v", to.up.Load(), result)
	}
	return sent
}

// A push that is killed in the middle of a large blob goes on from there, at
// most a hundredth of it is sent twice: into distribution's registry and into
// the mothership's.
func TestPushKilledInTheMiddle(t *testing.T) {
	const size = int64(64 << 20)
	w := newWorld(t)
	list := func(number int, own v1.Layer) []apiv1.SatelliteAlgorithm {
		reference, _ := w.publish(t, "large", number, layer(t, 1000), own)
		return []apiv1.SatelliteAlgorithm{{Algorithm: reference, VanityURL: "ten/large", Replicas: 1}}
	}
	registries := map[string]*wire{"distribution": w.registry, "the mothership": w.itself}
	w.launches(t, list(1, layer(t, 1000)))
	w.get(t)
	for _, registry := range registries {
		w.pushTo(t, registry, "single") // the system image, so that the large blob is alone
	}
	w.edit(t, list(2, layer(t, size)))
	w.get(t)
	for name, registry := range registries {
		t.Run(name, func(t *testing.T) {
			w.operate(t, &install.Configured{}, "configure", "stage.container_registry="+registry.address+"/team")
			registry.reset()
			w.killAt(t, registry, size/2)
			went := registry.up.Load()
			if went < size/2 || went > size*3/4 {
				t.Fatalf("the push was killed after %d bytes of %d", went, size)
			}
			registry.reset()
			var result install.PushResult
			w.operate(t, &result, "push")
			if twice := went + registry.up.Load() - size; twice > size/100 {
				t.Errorf("%d bytes went twice: %d before the kill and %d after it, of %d", twice, went, registry.up.Load(), size)
			}
			if w.operate(t, &result, "push"); result.Pushed != 0 {
				t.Errorf("a third push = %+v, want all to be there", result)
			}
		})
	}
}

// killAt runs a push and kills it, as a power cut would, once so many bytes
// have gone since the last reset.
func (w *world) killAt(t *testing.T, to *wire, bytes int64) {
	t.Helper()
	command := w.command("push")
	program := exec.CommandContext(t.Context(), command.Args[0], command.Args[1:]...)
	program.Env = append(os.Environ(), command.Env...)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	to.when(bytes, func() { _ = program.Process.Kill() })
	err := program.Wait()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the push ended with %v, want it killed when %d bytes had gone", err, bytes)
	}
}
