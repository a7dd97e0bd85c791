package panel

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/stack"
)

const password = "correct horse battery staple"

// world is a mothership as a team has it after a while.
type world struct {
	mothership *stack.Mothership
	bin        string
	url, host  string // as browsers have them
	admin, key string // an administrator, and an API key of theirs
	api        *client.Client

	score, scoreOld, defects string // algorithm references
	unused, weights          string // and those of a version that no satellite has, and of weights with long names
	elsewheres               elsewhere
	mirrored                 string // the address of an algorithm with mirrors
	satellite, launch        string // with everything
	emptySatellite           string
	versions                 int // of satellite
	launches                 []string
	hostile, hostileLaunch   string // addresses of what has the worst names

	beats    atomic.Int64
	mu       sync.Mutex
	sessions map[string]*http.Cookie // by username
}

// session returns the one session of a user that visitors share; a test that
// ends it signs in by itself.
func (w *world) session(ctx context.Context, username string) (*http.Cookie, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.sessions[username]; c != nil {
		return c, nil
	}
	c, err := w.signIn(ctx, username, password)
	if err == nil {
		w.sessions[username] = c
	}
	return c, err
}

// code are the labels of an algorithm's image.
var code = map[string]string{"constellation.protocol": "http", "constellation.memory": "512Mi", "constellation.cpu": "500m"}

// hashOf makes a Git hash of a digit.
func hashOf(digit string) string { return strings.Repeat(digit+"a5", 14)[:40] }

func newWorld(ctx context.Context, bin, dir string) (*world, error) {
	m, err := stack.StartMothership(ctx, filepath.Join(bin, "mothership"), dir, "127.0.0.1:0", allowed...)
	if err != nil {
		return nil, err
	}
	w := &world{mothership: m, bin: bin, url: m.URL, host: m.Host, admin: "ada", sessions: map[string]*http.Cookie{}}
	if err := w.fill(ctx); err != nil {
		_ = m.Stop()
		return nil, err
	}
	return w, nil
}

// fill makes accounts, algorithms, satellites and launches through the
// surfaces that people use.
func (w *world) fill(ctx context.Context) error {
	for _, who := range [][2]string{{"ada", "admin"}, {"grace", "operator"}, {"linus", "viewer"}, {"carol", "viewer"}} {
		if _, err := w.mothership.Administer(ctx, password+"\n", "account", "create", who[0], "--role", who[1], "--password-stdin"); err != nil {
			return err
		}
	}
	if _, err := w.mothership.Administer(ctx, "", "account", "disable", "carol"); err != nil {
		return err
	}
	key, err := w.mothership.Administer(ctx, "", "api-key", "create", "--account", "ada", "--role", "admin", "--name", "CI")
	if err != nil {
		return err
	}
	w.key = key
	w.api = client.New(w.url, w.key, http.DefaultClient)
	for _, a := range []struct {
		repository, digit string
		into              *string
		labels            map[string]string
	}{
		{"fraud/score", "1", &w.scoreOld, code}, {"fraud/score", "2", &w.score, code}, {"fraud/features", "3", &w.unused, code}, {"vision/defects", "4", &w.defects, code},
		{"vision/ocr", "5", nil, code}, {"text/language", "6", nil, code},
		{strings.Repeat("research-", 6) + "team/" + strings.Repeat("multilingual-", 4) + "bert", "7", &w.weights, map[string]string{"constellation.kind": "weights"}},
	} {
		if err := w.push(a.repository, hashOf(a.digit), a.labels); err != nil {
			return err
		}
		if a.into != nil {
			*a.into = a.repository + "/" + hashOf(a.digit)
		}
	}
	if err := w.fillSatellites(ctx); err != nil {
		return err
	}
	weights := w.weights[:strings.LastIndex(w.weights, "/")]
	w.mirrored = "/algorithms/" + weights
	if w.elsewheres, err = w.addElsewhere(ctx, weights, strings.Repeat("donaudampfschiff-", 3)+"fahrt", "elsewhere", "copied"); err != nil {
		return err
	}
	return w.correct(ctx, w.defects, apiv1.RuntimeUpdate{Memory: new("2Gi"), Concurrency: new(4), HealthPath: new("/v2/health/ready")})
}

// correct corrects the settings of an algorithm version that satellites have.
func (w *world) correct(ctx context.Context, algorithm string, settings apiv1.RuntimeUpdate) error {
	part := strings.Split(algorithm, "/")
	_, err := w.api.UpdateAlgorithmVersion(ctx, part[0], part[1], part[2], "", apiv1.AlgorithmVersionUpdate{Runtime: settings})
	return err
}

// push pushes an image as docker would.
func (w *world) push(repository, hash string, labels map[string]string) error {
	image, err := random.Image(200_000, 2)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Labels = labels
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	tag, err := name.NewTag(w.mothership.Host+"/"+repository+":"+hash, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(tag, image, remote.WithAuth(&authn.Basic{Username: w.admin, Password: w.key}))
}

// reporting are the launches of the satellite that has everything, and how they
// do.
var reporting = []struct {
	name, description string
	version, ready    int // none ready: never reports
	reason            string
}{
	{"Frankfurt", "Two zones, behind the bank's own gateway", 2, 5, ""},
	{"Dublin", "", 1, 1, "fraud-score-7c9f was ended for using more than 512Mi of memory"},
	{"Zurich, air-gapped", "Carried in on a disk every quarter", 2, 0, ""},
}

// report sends one heartbeat of each that reports.
func (w *world) report(ctx context.Context) error {
	for i, l := range reporting {
		if l.ready == 0 {
			continue
		}
		if err := w.beat(ctx, w.satellite, w.launches[i], l.version, l.ready, l.reason); err != nil {
			return fmt.Errorf("heartbeat of %s: %w", l.name, err)
		}
	}
	return nil
}

// live goes on reporting, as engines do, until ctx ends: who looks at a page
// late finds it as who looked early.
func (w *world) live(ctx context.Context) {
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := w.report(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
}

// fillHostile makes a satellite whose every text is as bad as the rules allow.
func (w *world) fillHostile(ctx context.Context) error {
	text := `"><script>alert(1)</script> مراقبة الجودة ` + strings.Repeat("Donaudampfschifffahrtsgesellschaft ", 20)
	text = string([]rune(text)[:200])
	two := make([]apiv1.SatelliteAlgorithm, 0, 12)
	for i := range cap(two) {
		two = append(two, apiv1.SatelliteAlgorithm{Algorithm: w.score, VanityURL: fmt.Sprintf("%s/%d", strings.Repeat("long_", 20), i), Replicas: i})
	}
	two[0].Replicas, two[0].MinReplicas, two[0].MaxReplicas = 1, new(0), 1000
	long := func(n int) string { return strings.Repeat("donaudampfschifffahrt-", 20)[:n-1] + "x" }
	two[0].Env = map[string]string{"EMPTY": "", strings.ToUpper(strings.ReplaceAll(long(60), "-", "_")): text, "URL": "https://" + long(50) + ".example/" + long(200) + "?a=1&b=2"}
	two[0].EnvFrom = []apiv1.EnvFrom{{Name: "TOKEN_OF_THE_HUB", Secret: long(200), Key: long(100)}, {ConfigMap: long(200)}}
	two[0].Volumes = []apiv1.Volume{
		{Name: "shm", Type: "empty", Size: "1Gi", Memory: true, MountPath: "/dev/shm"}, {Name: long(50), Type: "pvc", Source: long(200), MountPath: "/data/" + long(100), ReadOnly: true},
	}
	two[0].Weights = []apiv1.WeightsMount{{Artifact: w.weights, Path: "/models/" + long(100)}}
	labels := map[string]string{strings.Repeat("donaudampfschiff.", 14) + "example/" + strings.Repeat("x", 63): strings.Repeat("y", 63)}
	for i := range 31 {
		labels[fmt.Sprintf("label-%02d", i)] = strings.Repeat("v", 2*i)
	}
	made, err := w.api.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: text, Labels: labels, Algorithms: two, Schedules: []apiv1.Schedule{
		{Name: strings.Repeat("x", 63), Cron: "1,2,3,5,8,13,21,34,55 1-23/2 1,15 2-11 mon,fri", TimeZone: "America/Argentina/Buenos_Aires", VanityURL: two[0].VanityURL, Input: text, ContentType: "text/plain"},
	}})
	if err != nil {
		return err
	}
	launch, err := w.api.CreateLaunch(ctx, made.ID, apiv1.LaunchCreate{SatelliteVersion: 1, Name: text, Description: text, Labels: labels})
	if err != nil {
		return err
	}
	w.hostile = "/satellites/" + made.ID
	w.hostileLaunch = w.hostile + "/launches/" + launch.ID
	_, err = w.api.CreateSatelliteKey(ctx, made.ID, apiv1.SatelliteKeyCreate{Name: text})
	return err
}

func (w *world) fillSatellites(ctx context.Context) error {
	two := []apiv1.SatelliteAlgorithm{
		{
			Algorithm: w.score, VanityURL: "fraud/score", Replicas: 3, MinReplicas: new(0), MaxReplicas: 10,
			Env:     map[string]string{"LEVEL": "debug", "THRESHOLD": "0.82"},
			EnvFrom: []apiv1.EnvFrom{{Name: "HUB_TOKEN", Secret: "hub", Key: "token"}},
			Volumes: []apiv1.Volume{{Name: "shm", Type: "empty", Size: "1Gi", Memory: true, MountPath: "/dev/shm"}},
			Weights: []apiv1.WeightsMount{{Artifact: w.weights, Path: "/models/bert"}},
		},
		{Algorithm: w.defects, VanityURL: "vision/defects", Replicas: 2},
	}
	first, err := w.api.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: "Payments Europe", Labels: map[string]string{"region": "eu", "tier": "prod", "example.com/team": "payments", "pci": "", "wave": "2", "contract": "4711"}, Algorithms: []apiv1.SatelliteAlgorithm{
		{Algorithm: w.scoreOld, VanityURL: "fraud/score", Replicas: 2},
	}})
	if err != nil {
		return err
	}
	w.satellite = first.ID
	version, err := w.api.CreateSatelliteVersionWith(ctx, first.ID, "", apiv1.SatelliteVersionCreate{Algorithms: two, Schedules: []apiv1.Schedule{
		{Name: "nightly-report", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: "fraud/score", Input: `{"day":"yesterday"}`, Missed: "once"},
		{Name: "warm-up", Cron: "@hourly", VanityURL: "vision/defects"},
	}})
	if err != nil {
		return err
	}
	w.versions = version.Number
	for _, name := range []string{"Paint shop Munich", "Line 4 quality", "Back office", "مراقبة الجودة"} {
		if _, err := w.api.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: name, Labels: map[string]string{"region": "eu"}, Algorithms: two[:1]}); err != nil {
			return err
		}
	}
	soon := time.Now().Add(9 * 24 * time.Hour)
	empty, err := w.api.CreateSatellite(ctx, apiv1.SatelliteCreate{Name: "Edge trial", ExpiresAt: &soon, Algorithms: []apiv1.SatelliteAlgorithm{}})
	if err != nil {
		return err
	}
	w.emptySatellite = empty.ID
	for i, l := range reporting {
		launch, err := w.api.CreateLaunch(ctx, w.satellite, apiv1.LaunchCreate{SatelliteVersion: l.version, Name: l.name, Description: l.description, Labels: map[string]string{"site": strings.ToLower(l.name[:6])}})
		if err != nil {
			return err
		}
		if w.launches = append(w.launches, launch.ID); i == 0 {
			w.launch = launch.ID
		}
	}
	if err := w.report(ctx); err != nil {
		return err
	}
	if err := w.fillHostile(ctx); err != nil {
		return err
	}
	_, err = w.api.CreateSatelliteKey(ctx, w.satellite, apiv1.SatelliteKeyCreate{Name: "Checkout service"})
	return err
}

// beat reports for a launch as its engine does, with the token of its plan.
func (w *world) beat(ctx context.Context, satelliteID, launchID string, version, ready int, reason string, more ...func(*apiv1.Heartbeat)) error {
	signed, _, _, err := w.api.Plan(ctx, satelliteID, launchID, "")
	if err != nil {
		return err
	}
	var plan bundle.Plan
	if err := json.Unmarshal([]byte(signed.Plan), &plan); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	const engine = "execution-engine-6d9f-x2x7q/8f3a51"
	beat := &apiv1.Heartbeat{Engine: engine, Sequence: w.beats.Add(1), SatelliteVersion: version, SystemVersion: "v1.0.0"}
	counts := apiv1.HeartbeatEngine{ID: engine, StartedAt: time.Now().Add(-time.Hour)}
	for _, a := range plan.Algorithms {
		up := min(a.Replicas, ready)
		ready -= up
		state := apiv1.HeartbeatAlgorithm{VanityURL: a.VanityURL, Wanted: a.Replicas, Ready: up}
		if up < a.Replicas {
			state.Reason = reason
		}
		beat.Algorithms = append(beat.Algorithms, state)
		latency := make([]int64, len(apiv1.LatencyBounds)+1)
		latency[4], latency[6], latency[9] = 700, 480, 20
		counts.Counts = append(counts.Counts, apiv1.HeartbeatCounts{VanityURL: a.VanityURL, Calls: 1200, Errors: map[string]int64{"AlgorithmError": 7}, Latency: latency})
	}
	beat.Engines = []apiv1.HeartbeatEngine{counts}
	if launchID == w.launch {
		reportWork(beat)
	}
	for _, add := range more {
		add(beat)
	}
	_, err = client.New(w.mothership.URL, plan.Launch.Token, http.DefaultClient).Heartbeat(ctx, satelliteID, launchID, beat)
	return err
}

// reportWork adds a queue in trouble, schedules and dead letters.
func reportWork(beat *apiv1.Heartbeat) {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d).UTC() }
	last, next := ago(5*time.Hour), ago(-19*time.Hour)
	beat.Algorithms[0].Desired, beat.Algorithms[0].MinReplicas, beat.Algorithms[0].MaxReplicas = &beat.Algorithms[0].Wanted, new(0), 10
	beat.Queue = &apiv1.HeartbeatQueue{
		State: "ok", Storage: "ephemeral", Used: 48 << 20, Limit: 8 << 30, Depth: 1234, OldestSeconds: 240, Dead: 240,
		Nodes:      []apiv1.HeartbeatQueueNode{{Name: "queue-0", Ready: true}, {Name: "queue-1", Ready: true}, {Name: "queue-2", Ready: true}},
		Lost:       []apiv1.HeartbeatLoss{{At: ago(50 * time.Hour), Calls: 17}},
		Algorithms: []apiv1.HeartbeatQueueAlgorithm{{VanityURL: "fraud/score", Waiting: 1230, Running: 4, Dead: 240}},
	}
	beat.Schedules = []apiv1.HeartbeatSchedule{
		{Name: "nightly-report", LastAt: &last, LastState: "succeeded", LastRequestID: "req-7", NextAt: &next, Runs: []apiv1.HeartbeatRun{
			{At: last, State: "succeeded", RequestID: "req-7"}, {At: last.Add(-24 * time.Hour), State: "failed", RequestID: "req-6"}, {At: last.Add(-48 * time.Hour), State: "succeeded", RequestID: "req-5"},
		}}, {Name: "warm-up", NextAt: &next, Missed: 3},
	}
	for i := range 40 {
		beat.DeadLetters = append(beat.DeadLetters, apiv1.HeartbeatDeadLetter{
			RequestID: requestIDs(i), VanityURL: "fraud/score", Attempts: 5, At: ago(time.Duration(i) * time.Hour),
			Reason: "the replica that ran it was ended for using more than 512Mi of memory",
		})
	}
}

// requestIDs are req-1, and others as long as a satellite makes them.
func requestIDs(i int) string {
	if i == 0 {
		return "req-1"
	}
	return fmt.Sprintf("req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a%02d", i)
}

// signIn returns the cookie of a session, as the sign-in page sets it.
func (w *world) signIn(ctx context.Context, username, password string) (*http.Cookie, error) {
	form := url.Values{"username": {username}, "password": {password}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.mothership.URL+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "Firefox/145.0 (X11; Linux)")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&http.Transport{}).RoundTrip(r) // a redirect is the answer
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	for _, c := range answer.Cookies() {
		if strings.Contains(c.Name, "constellation") && c.Value != "" {
			return c, nil
		}
	}
	return nil, fmt.Errorf("sign in as %s: %s", username, answer.Status)
}
