package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// sort is one sort of call: how often it comes, what it sends, and what its
// result has to be. The rates are 80% of what the replicas can do.
type sort struct {
	vanity, contentType string
	perSecond           float64
	make                func(n int) (body []byte, result any)
}

const soakSleep = .1 // seconds that a call takes

func sleepy(n int) ([]byte, any) {
	body := fmt.Appendf(nil, `{"n":%d,"sleep":%g}`, n, soakSleep)
	return body, map[string]any{"n": float64(n), "sleep": soakSleep}
}

func sorts() []sort {
	return []sort{
		{"mix/hello", "application/json", .8 * 3 / (soakSleep + .005) * .9, sleepy},
		{"mix/python", "application/json", .8 * 2 / (soakSleep + .01), sleepy},
		{"mix/shout", "text/plain", 10, func(n int) ([]byte, any) { return fmt.Appendf(nil, "soak %d", n), fmt.Sprintf("SOAK %d", n) }},
		{"mix/hello", "application/octet-stream", .5, func(n int) ([]byte, any) {
			body := bytes.Repeat(fmt.Appendf(nil, "%016d", n), 1<<20/16)
			return body, base64.StdEncoding.EncodeToString(body)
		}},
	}
}

// load is calls that come at random, whatever became of those before.
type load struct {
	j      *journey
	client *http.Client
	stop   context.CancelFunc
	ending <-chan struct{} // closed once no more calls come
	coming sync.WaitGroup

	mu       sync.Mutex
	number   int
	outcomes map[string]int // of this phase
	killed   map[string]int // by algorithm, of all phases
	times    []time.Duration
	cut      []cutCall
	wrong    []string
}

// cutCall is a call whose connection the ingress lost.
type cutCall struct {
	what         string
	begun, ended time.Time
}

func newLoad(ctx context.Context, j *journey) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{
		j: j, stop: stop, ending: ctx.Done(), outcomes: map[string]int{}, killed: map[string]int{},
		client: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	for _, s := range sorts() {
		l.coming.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Duration(rand.ExpFloat64() / s.perSecond * float64(time.Second))):
					l.coming.Go(func() { l.call(context.WithoutCancel(ctx), s) })
				}
			}
		})
	}
	return l
}

// end lets the calls that came end.
func (l *load) end() {
	l.stop()
	l.coming.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) call(ctx context.Context, s sort) {
	l.mu.Lock()
	l.number++
	n := l.number
	l.mu.Unlock()
	body, want := s.make(n)
	begun := time.Now()
	outcome := l.outcome(ctx, s, n, body, want)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch outcome {
	case "ok":
		l.times = append(l.times, time.Since(begun))
	case "killed":
		l.killed[s.vanity]++
	case "429", "503":
	case "cut":
		l.cut = append(l.cut, cutCall{fmt.Sprintf("%s %s call %d", begun.Format(time.TimeOnly), s.vanity, n), begun, time.Now()})
	default:
		l.wrong = append(l.wrong, fmt.Sprintf("%s %s call %d: %s", begun.Format(time.TimeOnly), s.vanity, n, outcome))
		outcome = "wrong"
	}
	l.outcomes[outcome]++
}

// outcome makes one call and says ok, killed, cut, 429, 503 or what is wrong.
func (l *load) outcome(ctx context.Context, s sort, n int, body []byte, want any) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.j.Cluster.IngressURL+"/v1/algo/"+s.vanity, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	id := fmt.Sprintf("soak-%d", n)
	req.Header.Set("Content-Type", s.contentType)
	req.Header.Set("Authorization", "Simple "+l.j.key)
	req.Header.Set("X-Request-ID", id)
	res, err := l.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	data, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err.Error()
	case res.StatusCode == 429 || res.StatusCode == 503:
		if res.Header.Get("Retry-After") == "" || !bytes.Contains(data, []byte(`{"error":{"message":"`)) {
			return fmt.Sprintf("%d without Retry-After or reason: %.200s", res.StatusCode, data)
		}
		return fmt.Sprint(res.StatusCode)
	case res.StatusCode == 502:
		return "cut"
	case res.StatusCode != 200:
		return fmt.Sprintf("%d %.200s", res.StatusCode, data)
	case res.Header.Get("X-Request-Id") != id:
		return fmt.Sprintf("the answer is of request %q", res.Header.Get("X-Request-Id"))
	case bytes.Contains(data, []byte(ranOut)):
		return "killed"
	}
	var answer struct{ Result any }
	if err := json.Unmarshal(data, &answer); err != nil || fmt.Sprint(answer.Result) != fmt.Sprint(want) {
		return fmt.Sprintf("result %.200s, %v; want %.100v", data, err, want)
	}
	return "ok"
}

// phase tells what became of the calls since the last phase.
func (l *load) phase(t *testing.T, what string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.times)
	quantile := func(q float64) time.Duration {
		if len(l.times) == 0 {
			return 0
		}
		return l.times[int(q*float64(len(l.times)-1))].Round(time.Millisecond)
	}
	t.Logf("%s: calls by outcome %v, p50 %v, p99 %v, longest %v", what, l.outcomes, quantile(.5), quantile(.99), quantile(1))
	if l.outcomes["ok"] == 0 {
		t.Errorf("no call was answered in %s", what)
	}
	l.outcomes, l.times = map[string]int{}, nil
}

// slotsOf is how many calls a replica may have at once.
var slotsOf = map[string]int{"mix/hello": 1, "mix/python": 1, "mix/shout": 16}

func (l *load) check(t *testing.T, k *kills) {
	t.Helper()
	t.Logf("%d calls; %d kills, of them at once %v and %d engines; calls killed with their pods: %v, cut with an engine: %d", l.number, k.all, k.hard, len(k.engines), l.killed, len(l.cut))
	for _, call := range l.cut {
		if !k.cut(call.begun, call.ended) {
			l.wrong = append(l.wrong, call.what+": the ingress's 502, and no engine was killed")
		}
	}
	for _, wrong := range l.wrong[:min(len(l.wrong), 20)] {
		t.Error(wrong)
	}
	if len(l.wrong) > 20 {
		t.Errorf("and %d more", len(l.wrong)-20)
	}
	for vanity, n := range l.killed {
		if most := k.hard[vanity] * slotsOf[vanity]; n > most {
			t.Errorf("%d calls of %s were lost, and %d can have run on killed pods", n, vanity, most)
		}
	}
}

// watchMemory reads what engines hold, every two seconds; the function then
// holds those that lived for a while to a flat line.
func (j *journey) watchMemory(t *testing.T) func(t *testing.T, lived time.Duration) {
	type sample struct {
		at time.Time
		mb float64
	}
	ctx, cancel := context.WithCancel(t.Context())
	samples := map[string][]sample{}
	done := make(chan bool)
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		known := map[string]string{} // the API server may be away
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			short, cancel := context.WithTimeout(ctx, time.Second)
			pods, err := j.kube.CoreV1().Pods(namespace).List(short, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=execution-engine"})
			cancel()
			if err == nil {
				clear(known)
				for _, pod := range pods.Items {
					known[pod.Name] = pod.Status.PodIP
				}
			}
			for name, ip := range known {
				if mb, ok := residentMB(ctx, ip); ok {
					samples[name] = append(samples[name], sample{time.Now(), mb})
				}
			}
		}
	}()
	return func(t *testing.T, lived time.Duration) {
		cancel()
		waittest.Receive(t, "the end of the samples", done)
		long := 0
		for name, of := range samples {
			if life := of[len(of)-1].at.Sub(of[0].at); life < lived {
				continue
			}
			long++
			middle := func(part []sample) float64 {
				sorted := slices.SortedFunc(slices.Values(part), func(a, b sample) int { return int(1000 * (a.mb - b.mb)) })
				return sorted[len(sorted)/2].mb
			}
			early, late := middle(of[len(of)/4:len(of)/2]), middle(of[len(of)*3/4:])
			most := slices.MaxFunc(of, func(a, b sample) int { return int(1000 * (a.mb - b.mb)) }).mb
			t.Logf("%s over %v: %.0f MB in its second quarter, %.0f MB in its last, %.0f MB at most", name, of[len(of)-1].at.Sub(of[0].at).Round(time.Second), early, late, most)
			if late > 1.25*early+10 {
				t.Errorf("the memory of %s grew from %.0f to %.0f MB", name, early, late)
			}
		}
		if long == 0 {
			t.Error("no engine lived long enough to say anything of its memory")
		}
	}
}

func residentMB(ctx context.Context, ip string) (float64, bool) {
	n, ok := metric(ctx, ip, "process_resident_memory_bytes")
	return n / (1 << 20), ok
}

// metric reads a metric of an engine, whose labels are part of its name.
func metric(ctx context.Context, ip, name string) (float64, bool) {
	return metricAt(ctx, ip+":9090", name)
}

// metricAt reads one at an address.
func metricAt(ctx context.Context, address, name string) (float64, bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close() //nolint:errcheck // read only
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			return n, err == nil
		}
	}
	return 0, false
}
