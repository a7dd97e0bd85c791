package bundle

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// build makes a bundle, and returns its root and plan as they are read.
func build(t *testing.T) (*Root, *Plan) {
	t.Helper()
	plan, content := testPlan(t)
	plan.Keys = []Key{{ID: "1", Name: "ci", SHA256: strings.Repeat("a", 64)}}
	b, err := Build(t.Context(), plan, content, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseRoot(b.Root)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParsePlan(b.Plan)
	if err != nil {
		t.Fatal(err)
	}
	return root, read
}

// What a root names becomes a path, so a signed one is held to its form too.
func TestParseRootRefuses(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0", 64)
	tests := map[string]func(r *Root){
		"a path as the satellite":  func(r *Root) { r.SatelliteID = "../../../tmp/x" },
		"a path as the launch":     func(r *Root) { r.LaunchID = "../9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345" },
		"an ID in upper case":      func(r *Root) { r.LaunchID = strings.ToUpper(r.LaunchID) },
		"no ID":                    func(r *Root) { r.LaunchID = "" },
		"version 0":                func(r *Root) { r.Version = 0 },
		"a path as the plan":       func(r *Root) { r.Plan.Digest = "sha256:../../config.yaml" },
		"a path as a blob":         func(r *Root) { r.Blobs[0].Digest = "sha256:../../../../../../etc/passwd" },
		"a digest without its sum": func(r *Root) { r.Blobs[0].Digest = hex },
		"a digest in upper case":   func(r *Root) { r.Blobs[0].Digest = "sha256:" + strings.Repeat("A", 64) },
		"another algorithm":        func(r *Root) { r.Blobs[0].Digest = "sha512:" + hex + hex },
		"a line behind the digest": func(r *Root) { r.Blobs[0].Digest += "\n" },
		"a size below 0":           func(r *Root) { r.Blobs[0].Size = -1 },
		"sizes past all numbers":   func(r *Root) { r.Blobs[0].Size, r.Blobs[1].Size = 1<<62, 1<<62 },
		"a blob twice":             func(r *Root) { r.Blobs[1] = r.Blobs[0] },
		"an image without a blob":  func(r *Root) { r.Images[0].Digest = "sha256:" + hex },
		"an image of another size": func(r *Root) { r.Images[0].Size++ },
		"a media type of lines":    func(r *Root) { r.Blobs[0].MediaType = "a\r\nb" },
	}
	for name, change := range tests {
		root, _ := build(t)
		change(root)
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRoot(data); err == nil {
			t.Errorf("%s: ParseRoot = nil, want an error", name)
		}
	}
}

func TestParsePlanRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(p *Plan){
		"a path as the satellite":    func(p *Plan) { p.Satellite.ID = "../x" },
		"a path as the launch":       func(p *Plan) { p.Launch.ID = "../x" },
		"a path as an image":         func(p *Plan) { p.Algorithms[0].Image.Digest = "sha256:../x" },
		"a name of two lines":        func(p *Plan) { p.Satellite.Name = "edge\n✓ verified" },
		"a name that wipes":          func(p *Plan) { p.Launch.Name = "\x1b[2K" },
		"no system image":            func(p *Plan) { p.System.Image.Digest = "" },
		"a version of lines":         func(p *Plan) { p.System.Version = "1\n2" },
		"a path as the vanity":       func(p *Plan) { p.Algorithms[0].VanityURL = "foo/../bar" },
		"a vanity URL twice":         func(p *Plan) { p.Algorithms[1].VanityURL = p.Algorithms[0].VanityURL },
		"an algorithm cut short":     func(p *Plan) { p.Algorithms[0].Algorithm = "neo/hello" },
		"replicas below 0":           func(p *Plan) { p.Algorithms[0].Replicas = -1 },
		"a repository of spaces":     func(p *Plan) { p.Algorithms[0].Image.Repository = "a b" },
		"a key without its hash":     func(p *Plan) { p.Keys[0].SHA256 = "cst_plain" },
		"a variable of the platform": func(p *Plan) { p.Algorithms[0].Env = map[string]string{"ALGORITHMIA_API": "http://evil"} },
		"the launch's own Secret":    func(p *Plan) { p.Algorithms[0].EnvFrom = []constellation.EnvFrom{{Secret: "execution-engine"}} },
		"a volume over the answer": func(p *Plan) {
			p.Algorithms[0].Volumes = []constellation.Volume{{Name: "x", Type: constellation.VolumeEmpty, MountPath: "/tmp/algoout"}}
		},
		"a minimum alone": func(p *Plan) { p.Algorithms[0].MinReplicas = new(0) },
		"a schedule of nothing": func(p *Plan) {
			p.Schedules = []constellation.Schedule{constellation.Schedule{Name: "x", Cron: "@daily"}.WithDefaults()}
		},
		"a callback to a file": func(p *Plan) { p.Keys[0].CallbackURL = "file:///etc/passwd" },
	}
	for name, change := range tests {
		_, plan := build(t)
		change(plan)
		plan.SchemaVersion = plan.Schema()
		data, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePlan(data); err == nil {
			t.Errorf("%s: ParsePlan = nil, want an error", name)
		}
		if _, err := Build(t.Context(), plan, memory{}, testKey(1)); err == nil || !strings.Contains(err.Error(), "check the plan") {
			t.Errorf("%s: Build = %v, want that the plan is refused", name, err)
		}
	}
}

// What engines would refuse is refused by the validator that registers
// algorithms, rule by rule.
func TestCheckAlgorithmsRefuses(t *testing.T) {
	t.Parallel()
	_, plan := build(t)
	if err := plan.CheckAlgorithms(); err != nil {
		t.Errorf("CheckAlgorithms = %v", err)
	}
	tests := map[string]func(a *Algorithm){
		"a semantic version of two numbers": func(a *Algorithm) { a.SemanticVersion = "1.2" },
		"an unknown protocol":               func(a *Algorithm) { a.Runtime.Protocol = "carrier-pigeon" },
		"a port that is none":               func(a *Algorithm) { a.Runtime.Port = 70000 },
		"a path of spaces":                  func(a *Algorithm) { a.Runtime.Path = "/a b" },
		"http2 of a langserver":             func(a *Algorithm) { a.Runtime.HTTP2 = true },
		"a health path without its slash":   func(a *Algorithm) { a.Runtime.HealthPath = "ready" },
		"concurrency below 0":               func(a *Algorithm) { a.Runtime.Concurrency = -1 },
		"a network that is none":            func(a *Algorithm) { a.Runtime.Network = "half" },
		"memory of no unit":                 func(a *Algorithm) { a.Runtime.Memory = "much" },
	}
	for name, change := range tests {
		_, plan := build(t)
		change(&plan.Algorithms[0])
		if err := plan.CheckAlgorithms(); err == nil || !strings.Contains(err.Error(), plan.Algorithms[0].VanityURL) {
			t.Errorf("%s: CheckAlgorithms = %v, want an error that names the algorithm", name, err)
		}
	}
}

func TestRootVouchesForItsPlanAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(p *Plan){
		"another satellite": func(p *Plan) { p.Satellite.ID = strings.Replace(p.Satellite.ID, "6f", "60", 1) },
		"another launch":    func(p *Plan) { p.Launch.ID = strings.Replace(p.Launch.ID, "9b", "90", 1) },
		"another version":   func(p *Plan) { p.Satellite.Version++ },
		"another image":     func(p *Plan) { p.System.Image.Digest = "sha256:" + strings.Repeat("0", 64) },
		"an image less":     func(p *Plan) { p.Algorithms = nil },
		"another type":      func(p *Plan) { p.System.Image.MediaType += "x" },
	}
	root, plan := build(t)
	if err := root.Vouches(plan); err != nil {
		t.Errorf("Vouches = %v", err)
	}
	for name, change := range tests {
		_, plan := build(t)
		root := *root
		root.Images = images(plan)
		change(plan)
		if err := root.Vouches(plan); err == nil {
			t.Errorf("%s: Vouches = nil, want an error", name)
		}
	}
}

// images are a plan's as a root has them.
func images(p *Plan) (list []Descriptor) {
	for _, i := range p.Images() {
		list = append(list, Descriptor{MediaType: i.MediaType, Digest: i.Digest})
	}
	return list
}

// Whatever is read as a root names only files that a bundle may have.
func FuzzParseRoot(f *testing.F) {
	f.Add([]byte(`{"schema_version":1,"satellite_id":"6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab","launch_id":"9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345","satellite_version":1,"plan":{"digest":"sha256:` + strings.Repeat("a", 64) + `","size":1},"images":[],"blobs":[{"digest":"sha256:` + strings.Repeat("b", 64) + `","size":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRoot(data)
		if err != nil {
			return
		}
		for _, d := range append(append([]Descriptor{r.Plan}, r.Blobs...), r.Images...) {
			if !IsDigest(d.Digest) || d.Size < 0 || bytes.ContainsAny([]byte(d.Digest), "/.\n") {
				t.Errorf("ParseRoot(%q) names %+v", data, d)
			}
		}
		if !IsID(r.SatelliteID) || !IsID(r.LaunchID) {
			t.Errorf("ParseRoot(%q) is of %q and %q", data, r.SatelliteID, r.LaunchID)
		}
	})
}

// A reader of version 1 passes over what it does not know, so a plan that has
// any of it is of version 2, and one without it stays readable by all.
func TestPlanSchema(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(p *Plan)
		want   int
	}{
		{"nothing new", func(*Plan) {}, 1},
		{"replicas that follow the load", func(p *Plan) { p.Algorithms[0].Replicas, p.Algorithms[0].MaxReplicas = 1, 4 }, 2},
		{"a schedule", func(p *Plan) {
			p.Schedules = []constellation.Schedule{constellation.Schedule{Name: "x", Cron: "@daily", VanityURL: p.Algorithms[0].VanityURL}.WithDefaults()}
		}, 2},
		{"a native response", func(p *Plan) {
			p.Algorithms[0].Runtime.Protocol, p.Algorithms[0].Runtime.Response = constellation.ProtocolHTTP, constellation.ResponseNative
		}, 3},
		{"a variable", func(p *Plan) { p.Algorithms[1].Env = map[string]string{"LEVEL": "debug"} }, 3},
		{"a variable of a Secret, beside a callback", func(p *Plan) {
			p.Keys[0].CallbackURL = "https://host.example/results"
			p.Algorithms[0].EnvFrom = []constellation.EnvFrom{{Secret: "hub"}}
		}, 3},
		{"a volume", func(p *Plan) {
			p.Algorithms[0].Volumes = []constellation.Volume{{Name: "shm", Type: constellation.VolumeEmpty, Size: "1Gi", Memory: true, MountPath: "/dev/shm"}}
		}, 3},
		{"a callback", func(p *Plan) { p.Keys[0].CallbackURL = "https://host.example/results" }, 2},
	}
	for _, test := range tests {
		root, plan := build(t)
		if root.SchemaVersion != 1 {
			t.Errorf("the root has schema version %d, want 1: it has nothing new", root.SchemaVersion)
		}
		test.change(plan)
		if got := plan.Schema(); got != test.want {
			t.Errorf("%s: Schema = %d, want %d", test.name, got, test.want)
		}
		for schema, readable := range map[int]bool{test.want - 1: false, test.want: true, SchemaVersion: true, SchemaVersion + 1: false} {
			plan.SchemaVersion = schema
			data, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParsePlan(data); (err == nil) != readable {
				t.Errorf("%s as schema version %d: ParsePlan = %v, want it read: %t", test.name, schema, err, readable)
			}
		}
	}
}
