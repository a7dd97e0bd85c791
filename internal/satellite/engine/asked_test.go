package engine

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// answers gives the lines in which the engine said what it uses.
func (e *testEngine) answers() []config.InUse {
	var list []config.InUse
	for lines := bufio.NewScanner(strings.NewReader(e.log.String())); lines.Scan(); {
		var line config.InUse
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == config.InUseMessage {
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
	ask := func(question string) config.InUse {
		t.Helper()
		n := len(e.answers())
		e.writeBytes(config.AskedFile, []byte(question))
		eventually(t, "the engine answers "+question, func() bool { return len(e.answers()) > n })
		return e.answers()[n]
	}
	if got, want := ask("one"), (config.InUse{Message: config.InUseMessage, Asked: "one", Routes: before, Keys: e.digest(config.KeysFile)}); got != want {
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
