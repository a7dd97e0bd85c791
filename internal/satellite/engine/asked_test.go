package engine

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// answers returns the lines in which the engine said what it uses.
func (e *testEngine) answers() []config.Acknowledgement {
	var list []config.Acknowledgement
	for lines := bufio.NewScanner(strings.NewReader(e.log.String())); lines.Scan(); {
		var line config.Acknowledgement
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == config.AcknowledgementMessage {
			list = append(list, line)
		}
	}
	return list
}

func (e *testEngine) digest(name string) string {
	e.t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, name))
	if err != nil {
		e.t.Fatal(err)
	}
	return config.Digest(data)
}

func TestEngineAnswersWhatItUses(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	before := e.digest(config.RoutesFile)
	ask := func(question string) config.Acknowledgement {
		t.Helper()
		n := len(e.answers())
		e.writeBytes(config.ProbeFile, []byte(question))
		eventually(t, "the engine answers "+question, func() bool { return len(e.answers()) > n })
		return e.answers()[n]
	}
	if got, want := ask("one"), (config.Acknowledgement{Message: config.AcknowledgementMessage, Probe: "one", Routes: before, Keys: e.digest(config.KeysFile)}); got != want {
		t.Errorf("answer = %+v, want %+v", got, want)
	}
	e.writeRoutes(config.Routes{})
	e.writeKeys()
	if got := ask("two"); got.Routes != e.digest(config.RoutesFile) || got.Keys != e.digest(config.KeysFile) || got.Routes == before {
		t.Errorf("answer = %+v, want what was written before the question", got)
	}
	used := e.digest(config.RoutesFile)
	e.writeBytes(config.RoutesFile, []byte(`{"algorithms":[`))
	if got := ask("three"); got.Routes != used || !strings.Contains(got.Refused, config.RoutesFile) {
		t.Errorf("answer = %+v, want the old routes and why the new ones are refused", got)
	}
	if n := len(e.answers()); n != 3 {
		t.Errorf("%d answers to 3 questions", n)
	}
}

// Who asks hears of an algorithm of which no replica is known: its first call
// would fail.
func TestEngineAnswersThatAnAlgorithmIsEmpty(t *testing.T) {
	api := newFakeAPI(t, &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: discoveryv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{
			Name: "algo-foo-bar-x", Namespace: "algorithms", ResourceVersion: "1", UID: "u",
			Labels: map[string]string{discoveryv1.LabelServiceName: "algo-foo-bar"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"127.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(bool)}}},
	})
	r := lsRoute("foo/bar")
	r.Service, r.Replicas = "algo-foo-bar", 1
	e := startEngineWith(t, Options{Kubeconfig: api.kubeconfig(t)}, config.Routes{Algorithms: []config.Route{r}})
	for i, question := range []struct {
		text  string
		ready bool
		empty int
	}{{"one", false, 1}, {"two", true, 0}} {
		if question.ready {
			api.modify(t, 2, true)
		}
		e.writeBytes(config.ProbeFile, []byte(question.text))
		eventually(t, "the engine answers "+question.text, func() bool { return len(e.answers()) > i })
		if got := e.answers()[i]; got.Empty != question.empty || got.Probe != question.text {
			t.Errorf("answer = %+v, want %d algorithms empty", got, question.empty)
		}
	}
}
