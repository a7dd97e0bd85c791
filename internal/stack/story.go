package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/deploy/examples/image"
	"github.com/constellation-serving/constellation/deploy/examples/python"
	"github.com/constellation-serving/constellation/deploy/examples/shell"
	"github.com/constellation-serving/constellation/internal/apiv1"
)

// Git hashes of sample algorithm versions.
var (
	HashA = strings.Repeat("a1", 20)
	HashB = strings.Repeat("b2", 20)
)

// Route is an algorithm version (OWNER/NAME/HASH) under a vanity URL. With Most,
// its replicas follow the load.
type Route struct {
	Vanity, Algorithm string
	Replicas          int
	Least             *int
	Most              int
}

func routes(list []Route) []apiv1.SatelliteAlgorithm {
	algorithms := make([]apiv1.SatelliteAlgorithm, len(list))
	for i, r := range list {
		algorithms[i] = apiv1.SatelliteAlgorithm{Algorithm: r.Algorithm, VanityURL: r.Vanity, Replicas: r.Replicas, MinReplicas: r.Least, MaxReplicas: r.Most}
	}
	return algorithms
}

// PushExample builds a sample algorithm of deploy/examples into an image and
// pushes it as OWNER/NAME:HASH, which registers that version; it gives
// OWNER/NAME/HASH.
func (s *Stack) PushExample(ctx context.Context, name, owner, hash string) (string, error) {
	labels := map[string]string{"org.opencontainers.image.revision": hash}
	built, err := buildExample(ctx, name, labels)
	if err != nil {
		return "", err
	}
	reference := fmt.Sprintf("%s/%s/%s:%s", s.Mothership.Host, owner, name, hash)
	digest, err := image.Push(ctx, built, image.Target{Reference: reference, Insecure: true, Username: AdminUsername, Password: s.AdminKey})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(s.Out, "    pushed %s\n", digest)
	return owner + "/" + name + "/" + hash, nil
}

// buildExample makes an example's image: of Debian packages for those that
// speak the pipe protocol, of a Go program for the others.
func buildExample(ctx context.Context, name string, labels map[string]string) (v1.Image, error) {
	pipes := map[string]fs.FS{"python": python.Files, "shell": shell.Files}
	if files, ok := pipes[name]; ok {
		return image.FromDebian(ctx, files, labels)
	}
	return image.Build(ctx, image.Source{
		Package: "github.com/constellation-serving/constellation/deploy/examples/" + name, Platform: "linux/" + runtime.GOARCH, Labels: labels,
	})
}

// CreateSatellite makes a satellite and gives its ID.
func (s *Stack) CreateSatellite(ctx context.Context, name string, list ...Route) (string, error) {
	return s.CreateScheduled(ctx, name, nil, list...)
}

// CreateScheduled makes a satellite that calls its algorithms by itself too, and
// gives its ID.
func (s *Stack) CreateScheduled(ctx context.Context, name string, schedules []apiv1.Schedule, list ...Route) (string, error) {
	satellite, err := s.Client.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: name, Algorithms: routes(list), Schedules: schedules})
	if err != nil {
		return "", fmt.Errorf("create satellite %s: %w", name, err)
	}
	fmt.Fprintf(s.Out, "    satellite %s\n", satellite.ID)
	return satellite.ID, nil
}

// EditSatellite makes the satellite's next version and gives its number.
func (s *Stack) EditSatellite(ctx context.Context, id string, list ...Route) (int, error) {
	version, err := s.Client.CreateSatelliteVersion(ctx, id, "", routes(list))
	if err != nil {
		return 0, fmt.Errorf("edit satellite %s: %w", id, err)
	}
	return version.Number, nil
}

// CreateCallerKey makes a key that may call the satellite's algorithms.
func (s *Stack) CreateCallerKey(ctx context.Context, satelliteID, name string) (string, error) {
	key, err := s.Client.CreateSatelliteKey(ctx, satelliteID, apiv1.SatelliteKeyCreate{Name: name})
	if err != nil {
		return "", fmt.Errorf("create a key of satellite %s: %w", satelliteID, err)
	}
	return key.Secret, nil
}

// CreateLaunch makes a launch instance and gives its ID.
func (s *Stack) CreateLaunch(ctx context.Context, satelliteID string, version int, name string) (string, error) {
	launch, err := s.Client.CreateLaunch(ctx, satelliteID, apiv1.LaunchCreate{SatelliteVersion: version, Name: name})
	if err != nil {
		return "", fmt.Errorf("create launch %s: %w", name, err)
	}
	fmt.Fprintf(s.Out, "    launch instance %s\n", launch.ID)
	return launch.ID, nil
}

// CallUntil calls until the ingress answers with status: an ingress controller
// takes a moment to follow. It gives the last answer's body.
func (s *Stack) CallUntil(ctx context.Context, key, vanityURL, contentType, body string, status int) (string, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got, answer, err := s.Call(ctx, key, vanityURL, contentType, body)
		if err == nil && got == status {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("call %s: last status %d with %q, want %d", vanityURL, got, answer, status), err, ctx.Err())
		case <-tick.C:
		}
	}
}
