package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/stack"
)

const account = "bench"

// bench is what every measurement of get and push shares.
type bench struct {
	dir, binary, crane, skopeo string
	out                        io.Writer
	mothership                 *stack.Mothership
	key                        string
	client                     *client.Client
	docker                     string // a folder with the docker login of the mothership
}

// moved is one launch to move, and its images by reference.
type moved struct {
	satellite, id string
	references    []string
}

// sample is one run of one tool.
type sample struct {
	seconds float64
	peak    int64 // resident bytes, the most at once
}

// tool is what is measured: run does the work, into an empty place.
type tool struct {
	name string
	run  func(ctx context.Context, place string) (sample, error)
}

// transferRounds is how often each tool moves the images; BENCH_ROUNDS changes
// it.
const transferRounds = 5

// getting measures get beside crane and skopeo, alternating.
func getting(ctx context.Context, binary string, out io.Writer) error {
	return withImages(ctx, binary, out, func(b *bench, l *moved, _ []string) error { return b.gets(ctx, l, wantedRounds()) })
}

// pushing measures push beside crane and skopeo, alternating, into two
// registries.
func pushing(ctx context.Context, binary string, out io.Writer) error {
	return withImages(ctx, binary, out, func(b *bench, l *moved, layouts []string) error {
		if _, err := b.get(ctx, l, b.deployment()); err != nil {
			return err
		}
		for _, registry := range []string{"crane's registry", "distribution v3"} {
			if err := b.pushes(ctx, l, layouts, registry, wantedRounds()); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantedRounds() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return transferRounds
}

// withImages starts a mothership with the four images and a launch of them.
func withImages(ctx context.Context, binary string, out io.Writer, measure func(b *bench, l *moved, layouts []string) error) error {
	return withBench(ctx, binary, out, func(b *bench) error {
		l, layouts, err := b.fourImages(ctx)
		if err != nil {
			return err
		}
		return measure(b, l, layouts)
	})
}

// withBench starts a mothership for a measurement, and ends it.
func withBench(ctx context.Context, binary string, out io.Writer, measure func(*bench) error) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
	b, err := newBench(ctx, dir, binary, out)
	if err != nil {
		return err
	}
	return errors.Join(measure(b), b.mothership.Stop())
}

// fourImages makes four images of 100 MB, of which 160 MB are shared, and a
// launch of them; layouts are the same images as crane pulls them.
func (b *bench) fourImages(ctx context.Context) (*moved, []string, error) {
	var layers []v1.Layer
	for n, size := range []int64{100e6, 60e6, 30e6, 30e6, 30e6, 30e6, 30e6, 30e6, 30e6, 30e6} {
		layer, err := newFileLayer(b.dir, byte(n), size)
		if err != nil {
			return nil, nil, err
		}
		layers = append(layers, layer)
	}
	var routes []apiv1.SatelliteAlgorithm
	var references, layouts []string
	for n := range 4 {
		image, err := imageOf(layers[0], layers[1], layers[2+2*n], layers[3+2*n])
		if err != nil {
			return nil, nil, err
		}
		algorithm := fmt.Sprintf("four-%d", n)
		version, err := b.publish(ctx, algorithm, 1, image)
		if err != nil {
			return nil, nil, err
		}
		reference := fmt.Sprintf("%s/%s/%s:%s", b.mothership.Host, account, algorithm, gitHash(1))
		layout := filepath.Join(b.dir, "layout-"+algorithm)
		if _, err := b.measure(ctx, b.crane, "pull", "--insecure", "--format=oci", reference, layout); err != nil {
			return nil, nil, err
		}
		routes = append(routes, apiv1.SatelliteAlgorithm{Algorithm: version, VanityURL: "bench/" + algorithm, Replicas: 1})
		references, layouts = append(references, reference), append(layouts, layout)
	}
	l, err := b.launch(ctx, "four", routes)
	if err != nil {
		return nil, nil, err
	}
	l.references = references
	return l, layouts, nil
}

func (b *bench) launch(ctx context.Context, name string, routes []apiv1.SatelliteAlgorithm) (*moved, error) {
	satellite, err := b.client.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: name, Algorithms: routes})
	if err != nil {
		return nil, fmt.Errorf("create satellite %s: %w", name, err)
	}
	l, err := b.client.CreateLaunch(ctx, satellite.ID, apiv1.LaunchCreate{SatelliteVersion: 1, Name: name})
	if err != nil {
		return nil, fmt.Errorf("create launch %s: %w", name, err)
	}
	return &moved{satellite: satellite.ID, id: l.ID}, nil
}

// deployment is where the launch is that is copied and pushed.
func (b *bench) deployment() string { return filepath.Join(b.dir, "deployment") }

// gets measures the download, beside plain copies of what get has downloaded.
// What get has downloaded is on the disk; a plain copy's and crane's bytes are
// in the page cache, so those are measured with their sync too.
func (b *bench) gets(ctx context.Context, l *moved, rounds int) error {
	source := b.deployment()
	if _, err := b.get(ctx, l, source); err != nil {
		return err
	}
	bundle := store.Folder{Root: source, SatelliteID: l.satellite, LaunchID: l.id}.Path("bundle")
	crane := func(place string) []string {
		return slices.Concat([]string{b.crane, "pull", "--insecure", "--format=oci"}, l.references, []string{place})
	}
	tools := []tool{
		{"plain copy (cp -r), not yet on the disk", func(ctx context.Context, place string) (sample, error) {
			return b.measure(ctx, "cp", "-r", bundle, place)
		}},
		{"plain copy (cp -r; sync), on the disk", func(ctx context.Context, place string) (sample, error) {
			return b.durably(ctx, place, "cp", "-r", bundle, place)
		}},
		{"algo-install get", func(ctx context.Context, place string) (sample, error) { return b.get(ctx, l, place) }},
		{"crane pull --format=oci, not yet on the disk", func(ctx context.Context, place string) (sample, error) {
			return b.measure(ctx, crane(place)...)
		}},
		{"crane pull --format=oci; sync, on the disk", func(ctx context.Context, place string) (sample, error) {
			return b.durably(ctx, place, crane(place)...)
		}},
		{"skopeo copy, four times", func(ctx context.Context, place string) (sample, error) {
			return b.each(l.references, func(n int, reference string) (sample, error) {
				return b.measure(ctx, b.skopeo, "copy", "--quiet", "--src-tls-verify=false", "docker://"+reference, fmt.Sprintf("oci:%s:v%d", place, n))
			})
		}},
	}
	return b.compare(ctx, "get: four images, 400 MB, 160 MB of it shared", tools, rounds)
}

// durably measures a command together with the sync of the files it made.
func (b *bench) durably(ctx context.Context, place string, command ...string) (sample, error) {
	return b.measure(ctx, slices.Concat([]string{"sh", "-c", `"$@" && find "$0" -type f -exec sync {} +`, place}, command)...)
}

func (b *bench) get(ctx context.Context, l *moved, root string) (sample, error) {
	return b.measure(ctx, b.binary, "algo-install", "satellite", l.satellite, l.id, "get", "--mothership", b.mothership.URL, "--deployment-dir", root)
}

// each runs one command an item and adds their times up.
func (b *bench) each(items []string, run func(n int, item string) (sample, error)) (sample, error) {
	var total sample
	for n, item := range items {
		s, err := run(n, item)
		if err != nil {
			return total, err
		}
		total.seconds += s.seconds
		total.peak = max(total.peak, s.peak)
	}
	return total, nil
}

// compare runs the tools in turn, in another order each round, and writes a
// table of medians; the first round only warms up.
func (b *bench) compare(ctx context.Context, title string, tools []tool, rounds int) error {
	times, peaks := map[string][]float64{}, map[string]int64{}
	for round := range rounds + 1 {
		for i := range tools {
			t := tools[(i+round)%len(tools)]
			place := filepath.Join(b.dir, "place")
			syscall.Sync() // nobody pays for what the one before left behind
			s, err := t.run(ctx, place)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if err := os.RemoveAll(place); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if round > 0 {
				times[t.name] = append(times[t.name], s.seconds)
				peaks[t.name] = max(peaks[t.name], s.peak)
			}
		}
	}
	our := tools[0].name
	for _, t := range tools {
		if strings.HasPrefix(t.name, "algo-install") {
			our = t.name
		}
	}
	fmt.Fprintf(b.out, "\n| %s | median s | least–most | peak MB | ours / this |\n|---|---|---|---|---|\n", title)
	for _, t := range tools {
		list := times[t.name]
		fmt.Fprintf(b.out, "| %s | %.2f | %.2f–%.2f | %d | %.2f |\n", t.name, median(list), slices.Min(list), slices.Max(list), peaks[t.name]/1e6, median(times[our])/median(list))
	}
	return nil
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// measure runs a command and gives its time and its peak of memory.
func (b *bench) measure(ctx context.Context, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ALGO_ADMIN_API_KEY="+b.key, "DOCKER_CONFIG="+b.docker, "REGISTRY_AUTH_FILE="+filepath.Join(b.docker, "config.json"))
	var said strings.Builder
	cmd.Stderr = &said
	begun := time.Now()
	err := cmd.Run()
	took := time.Since(begun).Seconds()
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(args[:min(len(args), 6)], " "), err, said.String())
	}
	s := sample{seconds: took}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.peak = usage.Maxrss * 1024
	}
	return s, nil
}

// newBench starts a mothership with an admin, and with flags besides.
func newBench(ctx context.Context, dir, binary string, out io.Writer, flags ...string) (*bench, error) {
	b := &bench{dir: dir, binary: binary, crane: filepath.Join(filepath.Dir(binary), "crane"), out: out, docker: filepath.Join(dir, "docker")}
	var err error
	if b.skopeo, err = exec.LookPath("skopeo"); err != nil {
		return nil, fmt.Errorf("find skopeo: %w", err)
	}
	return b, b.start(ctx, flags...)
}

// start starts the mothership, and has an admin logged in there.
func (b *bench) start(ctx context.Context, flags ...string) (err error) {
	if err := os.MkdirAll(b.docker, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if b.mothership, err = stack.StartMothership(ctx, b.binary, filepath.Join(b.dir, "mothership"), "127.0.0.1:0", flags...); err != nil {
		return err
	}
	if _, err = b.mothership.Administer(ctx, "a long enough password\n", "account", "create", account, "--role", "admin", "--password-stdin"); err == nil {
		b.key, err = b.mothership.Administer(ctx, "", "api-key", "create", "--account", account, "--role", "admin")
	}
	if err == nil {
		b.client = client.New(b.mothership.URL, b.key, &http.Client{Timeout: time.Minute})
	}
	if err == nil {
		err = b.logIn(map[string]string{b.mothership.Host: account + ":" + b.key})
	}
	if err != nil {
		return errors.Join(err, b.mothership.Stop())
	}
	return nil
}
