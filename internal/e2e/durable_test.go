package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/stack"
)

// durableCalls are how many calls are accepted before the pods are killed.
const durableCalls = 200

// TestDurable makes calls that outlive their caller in a real cluster, and kills
// each of the pods that keep them.
func TestDurable(t *testing.T) {
	j := start(t)
	d := &durable{journey: j}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"deploy with a queue", d.deployQueue},
		{"five system pods", d.systemPods},
		{"a durable call", d.oneCall},
		{"a batch", d.batch},
		{"accepted calls survive the loss of every pod", d.killAll},
		{"the operator sees the queue", d.operatorSees},
		{"the last of three disks is rescued", d.rescue},
	} {
		if !t.Run(step.name, step.run) {
			j.explain(t)
			t.FailNow()
		}
	}
}

type durable struct {
	*journey
	ids []string
}

func (d *durable) deployQueue(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Durable", nil, []string{"stage.queue=on"}, stack.Route{Vanity: "demo/hello", Algorithm: d.hello, Replicas: 2})
	// From the end of a deploy on each engine takes calls.
	for range 6 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Cluster.IngressURL+"/v1/algo/demo/hello?output=void", strings.NewReader("at once"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Simple "+d.key)
		request.Header.Set("Content-Type", "text/plain")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("a durable call right after the deploy = %d %s, %v", response.StatusCode, answer, err)
		}
		_ = response.Body.Close()
	}
}

// systemPods are two engines and three queue nodes, each node with a volume.
func (d *durable) systemPods(t *testing.T) {
	pods, err := d.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var engines, nodes, others int
	for _, pod := range pods.Items {
		switch {
		case strings.HasPrefix(pod.Name, engineName):
			engines++
		case strings.HasPrefix(pod.Name, "queue-"):
			nodes++
		default:
			others++
		}
	}
	if engines != 2 || nodes != 3 || others != 2 {
		t.Errorf("%d engines, %d queue nodes, %d others; want 2, 3 and 2", engines, nodes, others)
	}
	claims, err := d.kube.CoreV1().PersistentVolumeClaims(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(claims.Items) != 3 {
		t.Errorf("%d volume claims, %v; want one for each node", len(claims.Items), err)
	}
}

// ask makes a request through the ingress, again while the answer is 503: that
// says that nothing is known to be stored.
func (d *durable) ask(t *testing.T, method, path, contentType, body, idempotency string) (int, string) {
	t.Helper()
	status, answer, err := d.try(t.Context(), method, path, contentType, body, idempotency)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

// try is ask for a goroutine of its own.
func (d *durable) try(ctx context.Context, method, path, contentType, body, idempotency string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		status, answer, err := d.once(ctx, method, path, contentType, body, idempotency)
		if err == nil && status < 500 {
			return status, answer, nil
		}
		select {
		case <-ctx.Done():
			return 0, "", fmt.Errorf("%s %s is not answered: %d %s %w", method, path, status, answer, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// once makes one request through the ingress.
func (d *durable) once(ctx context.Context, method, path, contentType, body, idempotency string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.Cluster.IngressURL+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Simple "+d.key)
	request.Header.Set("Content-Type", contentType)
	if idempotency != "" {
		request.Header.Set("Idempotency-Key", idempotency)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// accept makes a durable call and returns its ID.
func (d *durable) accept(t *testing.T, body, idempotency string) string {
	t.Helper()
	status, answer := d.ask(t, http.MethodPost, "/v1/algo/demo/hello?output=void", "text/plain", body, idempotency)
	var accepted struct {
		Async     string `json:"async"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(answer), &accepted); err != nil || status != 200 || accepted.Async != "void" || !strings.HasPrefix(accepted.RequestID, "req-") {
		t.Fatalf("a void call = %d %s, %v", status, answer, err)
	}
	return accepted.RequestID
}

// result returns what the call answered, once it has ended.
func (d *durable) result(t *testing.T, id string) string {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		status, answer := d.ask(t, http.MethodGet, "/v1/async/"+id+"?wait=30", "text/plain", "", "")
		if status == 200 && strings.Contains(answer, `"state":"succeeded"`) {
			status, answer = d.ask(t, http.MethodGet, "/v1/async/"+id+"/result", "text/plain", "", "")
			if status != 200 {
				t.Errorf("the result of %s = %d %s", id, status, answer)
			}
			return answer
		}
		if status != 200 || time.Now().After(deadline) || !strings.Contains(answer, `"state":"queued"`) && !strings.Contains(answer, `"state":"running"`) {
			t.Fatalf("the call %s = %d %s", id, status, answer)
		}
	}
}

func (d *durable) oneCall(t *testing.T) {
	first := d.accept(t, "Neo", "the same")
	if again := d.accept(t, "Neo", "the same"); again != first {
		t.Errorf("the same Idempotency-Key gave %s and %s", first, again)
	}
	if got := d.result(t, first); !strings.Contains(got, `"result":"Hello Neo"`) {
		t.Errorf("its result is %s", got)
	}
}

func (d *durable) batch(t *testing.T) {
	const lines = 100
	var in bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&in, `{"custom_id":"c%d","body":"line %d"}`+"\n", i, i)
	}
	status, answer := d.ask(t, http.MethodPost, "/v1/batch/demo/hello", "application/jsonl", in.String(), "one batch")
	var b struct {
		ID    string `json:"batch_id"`
		State string `json:"state"`
		Done  int    `json:"done"`
	}
	if err := json.Unmarshal([]byte(answer), &b); err != nil || status >= 300 || b.ID == "" {
		t.Fatalf("a batch = %d %s, %v", status, answer, err)
	}
	deadline := time.Now().Add(5 * time.Minute)
	for b.Done < lines {
		if status, answer = d.ask(t, http.MethodGet, "/v1/batch/"+b.ID, "", "", ""); status != 200 || time.Now().After(deadline) {
			t.Fatalf("the batch = %d %s", status, answer)
		}
		if err := json.Unmarshal([]byte(answer), &b); err != nil {
			t.Fatal(err)
		}
	}
	_, results := d.ask(t, http.MethodGet, "/v1/batch/"+b.ID+"/results", "", "", "")
	var got, want []string
	for line := range strings.Lines(results) {
		var r struct {
			CustomID string `json:"custom_id"`
			Result   string `json:"result"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, r.CustomID+" "+r.Result)
	}
	for i := range lines {
		want = append(want, fmt.Sprintf("c%d line %d", i, i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("results = %q, want %q", got, want)
	}
}

// killAll kills each queue node in turn, then each engine, then all nodes at
// once, while accepted calls run.
func (d *durable) killAll(t *testing.T) {
	for i := range durableCalls {
		d.ids = append(d.ids, d.accept(t, fmt.Sprint("call ", i), ""))
	}
	for _, node := range []string{"queue-0", "queue-1", "queue-2"} {
		d.killPods(t, node)
		d.nodesReady(t, 3)
	}
	d.killPods(t, engineName)
	d.killPods(t, "queue-")
	d.nodesReady(t, 3)
	for i, id := range d.ids {
		if got, want := d.result(t, id), fmt.Sprintf(`"result":"Hello call %d"`, i); !strings.Contains(got, want) {
			t.Errorf("the result of call %d is %s", i, got)
		}
	}
}

func (d *durable) killPods(t *testing.T, prefix string) {
	t.Helper()
	pods, err := d.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if strings.HasPrefix(pod.Name, prefix) {
			if err := d.kube.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
				t.Errorf("kill %s: %v", pod.Name, err)
			}
		}
	}
}

// nodesReady waits until as many nodes are ready, in pods that are not on their
// way out.
func (d *durable) nodesReady(t *testing.T, want int) {
	t.Helper()
	begun := time.Now()
	for {
		set, err := d.kube.AppsV1().StatefulSets(namespace).Get(t.Context(), "queue", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pods, err := d.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ready := 0
		for _, pod := range pods.Items {
			if strings.HasPrefix(pod.Name, "queue-") && pod.DeletionTimestamp == nil &&
				slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
					return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
				}) {
				ready++
			}
		}
		if ready == want {
			return
		}
		if time.Since(begun) > 4*time.Minute {
			t.Fatalf("%d of %d queue nodes are ready after 4 minutes: %+v", ready, want, set.Status)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (d *durable) operatorSees(t *testing.T) {
	out := d.operate(t, "queue", "status")
	t.Logf("queue status:\n%s", out)
	if strings.Contains(out, "lost") && !strings.Contains(out, "0 lost") && strings.Contains(out, "unaccounted") {
		t.Errorf("a loss is told though there was none:\n%s", out)
	}
}

// rescue takes two of three nodes their volumes: the queue waits for them until
// the operator gives them up, and goes on with what the third one has.
func (d *durable) rescue(t *testing.T) {
	d.refused(t, 1, "nothing is to be rescued", d.satelliteID, d.launchID, "queue", "rescue")
	for _, node := range []string{"queue-0", "queue-2"} {
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
		if err := d.kube.CoreV1().PersistentVolumeClaims(namespace).Delete(t.Context(), "data-"+node, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := d.kube.CoreV1().Pods(namespace).Delete(t.Context(), node, now); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for { // until the pods are back, with volumes that are empty
		_, err := d.Operate(t.Context(), d.satelliteID, d.launchID, "queue", "rescue")
		var says *stack.CommandError
		if errors.As(err, &says) && says.Code == 2 && strings.Contains(says.Stderr, "queue-1 has the only disk that is left; queue-0 and queue-2 are empty") {
			t.Logf("queue rescue:\n%s", says.Stderr)
			break
		}
		if time.Since(begun) > 4*time.Minute {
			t.Fatalf("queue rescue: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Logf("queue rescue --yes:\n%s", d.operate(t, "queue", "rescue", "--yes", "--timeout", "4m"))
	d.nodesReady(t, 3)
	for i, id := range d.ids {
		if got, want := d.result(t, id), fmt.Sprintf(`"result":"Hello call %d"`, i); !strings.Contains(got, want) {
			t.Errorf("after the rescue the result of call %d is %s", i, got)
		}
	}
	if got := d.result(t, d.accept(t, "again", "")); !strings.Contains(got, "Hello again") {
		t.Errorf("a call after the rescue gave %s", got)
	}
	d.operatorSees(t)
}
