package api

import (
	"context"
	"crypto/sha1" //nolint:gosec // names of commits
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// documented is an operation of the document, with all that it needs to
// succeed.
type documented struct {
	conformRoute
	id, role   string
	key        string
	names      map[string]string // of things that exist, by the parameters of the path
	query      string            // that it needs
	body       string            // "" when it takes none
	parameters []string          // of its query
}

// address is where the operation is; other has names in place of those that exist.
func (o documented) address(other map[string]string) string {
	path := o.path
	for _, names := range []map[string]string{other, o.names} {
		for parameter, name := range names {
			path = strings.ReplaceAll(path, "{"+parameter+"}", name)
		}
	}
	return path + o.query
}

// with is the operation's address with one more parameter in its query.
func (o documented) with(parameter string) string {
	if o.query == "" {
		return o.address(nil) + "?" + parameter
	}
	return o.address(nil) + "&" + parameter
}

// has reports whether the document has a status of the operation.
func (o documented) has(status int) bool {
	return contract().operation(o.conformRoute)["responses"].(map[string]any)[strconv.Itoa(status)] != nil
}

func (w *world) send(o documented, header ...string) answer {
	return w.call(o.key, o.method, o.address(nil), o.body, header...)
}

// documented returns every operation of the document with things of its own,
// reads first and removals last, so that each succeeds after the others. It
// needs run.
func (w *world) documented(name string) []documented {
	w.t.Helper()
	made := func(path, body string) string {
		return w.call(w.admin, "POST", path, body).want(w.t, http.StatusCreated)["id"].(string)
	}
	satellite := w.satellite(name)
	launch := w.reporter(satellite, w.launch(satellite, "reports"))
	launch.beat.Queue = &apiv1.HeartbeatQueue{State: "ok"}
	launch.report()
	w.call(w.admin, "POST", "/v1/users", `{"username":"`+name+`","role":"viewer"}`).want(w.t, http.StatusCreated)
	for _, prefix := range []string{"s", "t"} { // one is removed before the rule of the other
		w.call(w.admin, "POST", "/v1/service-accounts", `{"username":"`+prefix+name+`","role":"viewer"}`).want(w.t, http.StatusCreated)
	}
	names := map[string]string{
		"account": "s" + name, "rule_id": made("/v1/token-rules", `{"name":"`+name+`","issuer":"https://ci.example.com","audience":"m","account":"t`+name+`","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`),
		"satellite_id": launch.satelliteID, "launch_id": launch.launchID, "number": "1", "key_id": made(satellite+"/keys", `{"name":"first"}`),
		"destination_id": w.destination("d" + name),
		"owner":          "neo", "name": "hello", "git_hash": hash1, "username": name,
	}
	// One destination is removed before what is done with the other.
	rule := fmt.Sprintf(`{"name":"r%s","destinations":[%q]}`, name, w.destination("e"+name))
	names["notification_rule_id"] = made("/v1/notifications/rules", rule)
	names["delivery_id"] = made("/v1/notifications/destinations/"+w.destination("f"+name)+"/test", "")
	w.execute(w.url, `UPDATE notification_deliveries SET state = 'failed', finished_at = now() WHERE id = '`+names["delivery_id"]+`'`)
	userKey := made("/v1/users/"+name+"/keys", `{"name":"first"}`)
	unused := fmt.Sprintf("%040x", sha1.Sum([]byte(name))) //nolint:gosec // a name of a commit
	w.push(unused)
	imported := fmt.Sprintf("%040x", sha1.Sum([]byte("imported"+name))) //nolint:gosec // a name of a commit
	w.call(w.admin, "POST", "/v1/algorithms/neo/hello/versions", `{"git_hash":"`+imported+`","image":"registry.example.com/a/b"}`).want(w.t, http.StatusAccepted)
	names["registry_id"] = made("/v1/registries", `{"host":"`+strings.ToLower(name)+`.example.com"}`)
	names["mirror_id"] = made("/v1/mirrors", `{"algorithm":"neo/hello","source":"`+strings.ToLower(name)+`.example.com/a","tags":["v*"]}`)
	w.call(w.admin, "PUT", "/v1/quotas/neo", `{"bytes":1000000000}`).want(w.t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/retention?scope=neo", `{"keep_versions":100,"after_days":100}`).want(w.t, http.StatusOK)
	silent := w.reporter(satellite, w.launch(satellite, "never seen"))
	for _, of := range []string{hash2, hash1} { // no launch is of the second
		w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+of+`","vanity_url":"foo/bar","replicas":1}]}`).want(w.t, http.StatusCreated)
	}
	bodies := map[string]string{
		"createServiceAccount": `{"username":"b` + name + `","role":"viewer"}`, "updateServiceAccount": `{"role":"operator"}`,
		"putTokenRule":    `{"name":"put ` + name + `","issuer":"https://ci.example.com","audience":"m","account":"t` + name + `","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`,
		"createTokenRule": `{"name":"second ` + name + `","issuer":"https://ci.example.com","audience":"m","account":"t` + name + `","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`,
		"createUser":      `{"username":"a` + name + `","role":"viewer"}`, "updateUser": `{"role":"operator"}`, "createUserKey": `{"name":"second"}`,
		"createSatellite": satelliteJSON("another " + name), "updateSatellite": `{"name":"renamed ` + name + `"}`, "createSatelliteKey": `{"name":"second"}`,
		"createSatelliteVersion": `{"algorithms":[{"algorithm":"neo/hello/` + hash2 + `","vanity_url":"foo/bar","replicas":1}]}`,
		"patchSatelliteVersion":  `{"algorithm":"neo/hello/` + hash1 + `"}`,
		"putSatellite":           `{"algorithms":[{"algorithm":"neo/hello/` + hash2 + `","vanity_url":"foo/bar","replicas":1}]}`, "putLaunch": `{"satellite_version":1}`,
		importID: `{"git_hash":"` + strings.Repeat("e", 40) + `","image":"registry.example.com/a/b"}`, "createRegistry": `{"host":"second-` + strings.ToLower(name) + `.example.com"}`, "updateRegistry": `{"ca":""}`,
		"createMirror": `{"algorithm":"neo/hello","source":"second-` + strings.ToLower(name) + `.example.com/a","tags":["v*"]}`, "updateMirror": `{"keep":20}`,
		"createLaunch": `{"name":"second","satellite_version":1}`, "updateLaunch": `{"description":"changed"}`, "decideDeadLetters": `{"action":"drop","request_ids":["req-9"]}`,
		"putQuota": `{"bytes":50000000000}`, "putRetentionRule": `{"keep_versions":20,"after_days":90}`,
		"updateAlgorithmVersion":        `{"runtime":{"concurrency":2}}`,
		"heartbeat":                     `{"engine":"engine-1","sequence":1,"satellite_version":1,"algorithms":[],"engines":[]}`,
		"createNotificationDestination": `{"name":"second ` + name + `","kind":"slack","url":"https://hooks.slack.com/services/x"}`, "updateNotificationDestination": `{"name":"renamed ` + name + `"}`,
		"createNotificationRule": strings.Replace(rule, `"r`, `"second `, 1), "putNotificationRule": strings.Replace(rule, `"r`, `"put `, 1),
	}
	var list []documented
	for _, r := range contract().routes {
		op := contract().operation(r)
		o := documented{conformRoute: r, id: op["operationId"].(string), role: op["x-role"].(string), key: w.admin, names: names}
		if o.id == "exchangeToken" { // takes a token in place of a key: see TestTokenExchange
			continue
		}
		o.body = bodies[o.id]
		if _, takes := op["requestBody"]; takes != (o.body != "") {
			w.t.Fatalf("%s takes a body: %v; here it has %q", o.id, takes, o.body)
		}
		switch {
		case o.id == "heartbeat":
			o.key, o.names = silent.token, map[string]string{"satellite_id": silent.satelliteID, "launch_id": silent.launchID}
		case o.id == "deleteAlgorithmVersion":
			o.names = map[string]string{"owner": "neo", "name": "hello", "git_hash": unused}
		case o.id == "cancelImport":
			o.names = map[string]string{"owner": "neo", "name": "hello", "git_hash": imported}
		case o.id == "deleteSatelliteVersion": // of which no launch is
			o.names = maps.Clone(names)
			o.names["number"] = "2"
		case o.id == "diffSatelliteVersions":
			o.query = "?from=1"
		case o.id == "putRetentionRule" || o.id == "deleteRetentionRule":
			o.query = "?scope=neo"
		case o.id == "putSatellite" || o.id == "putLaunch":
			o.query = "?name=put"
		case strings.Contains(o.path, "{username}"):
			o.names = map[string]string{"username": name, "key_id": userKey}
		}
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			if p := p.(map[string]any); p["in"] == "query" {
				o.parameters = append(o.parameters, p["name"].(string))
			}
		}
		list = append(list, o)
	}
	order := []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}
	slices.SortFunc(list, func(a, b documented) int {
		if a.method != b.method {
			return slices.Index(order, a.method) - slices.Index(order, b.method)
		}
		return len(b.path) - len(a.path) // a part before what it is of
	})
	return list
}

// internals are what no answer says of how the server is made.
var internals = regexp.MustCompile(`(?i)sqlstate|postgres|pgx|pgconn|\b(select|insert|update) .* (from|into|set)\b|relation|constraint|violates|` +
	`\w+\.go:\d|panic|goroutine|nil pointer|unmarshal|dial |unix|\bEOF\b|test_\d|` +
	`\b(algorithm_versions|api_keys|idempotency_keys|launch_index|launch_\w+s|satellite_(algorithms|drafts|keys|names|schedules|versions))\b`)

// refusedWith fails the test unless an answer is a refusal with the status, and
// in words for users; it returns the words.
func (a answer) refusedWith(t *testing.T, status int) string {
	t.Helper()
	what := a.Request.Method + " " + a.Request.URL.RequestURI()
	if a.StatusCode != status {
		t.Errorf("%.200s = %d %s, want %d", what, a.StatusCode, a.body, status)
		return ""
	}
	e := checkErrorShape(t, what, a.Response)
	said := e.Message
	for _, f := range e.Fields {
		said += "; " + f.Field + ": " + f.Message
	}
	if found := internals.FindString(said); found != "" {
		t.Errorf("%.200s = %d %q: it tells %q", what, status, said, found)
	}
	return said
}

const (
	nobodysID = "00000000-0000-4000-8000-000000000000"
	nobodys   = "nobodys"
)

// TestEveryRefusal provokes what the document has of every operation that can
// be refused for what was sent, and by whom.
func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	operations := w.documented("walk")
	other := w.key("neo", control.NewKey{Name: "limited", SatelliteID: new(strings.TrimPrefix(w.satellite("other"), "/v1/satellites/"))})
	pushes := w.key("neo", control.NewKey{Name: "pushes", Scope: new("push:neo/*")})
	missing := map[string]string{
		"destination_id": "00000000-0000-4000-8000-000000000000", "notification_rule_id": "00000000-0000-4000-8000-000000000000", "delivery_id": "00000000-0000-4000-8000-000000000000",
		"satellite_id": nobodysID, "launch_id": nobodysID, "key_id": nobodysID, "number": "7",
		"owner": nobodys, "name": nobodys, "git_hash": strings.Repeat("f", 40), "username": nobodys, "account": nobodys, "rule_id": nobodysID, "registry_id": nobodysID, "mirror_id": nobodysID,
	}
	for _, o := range operations {
		call := func(key, address, body string, header ...string) answer {
			return w.call(key, o.method, address, body, header...)
		}
		call(o.key, o.with("a=%zz"), o.body).refusedWith(t, http.StatusBadRequest)
		if o.id != "heartbeat" { // whose query nobody reads
			call(o.key, o.with("colour=red"), o.body).refusedWith(t, http.StatusBadRequest)
		}
		call("", o.address(nil), o.body).refusedWith(t, http.StatusUnauthorized)
		call(auth.NewKey(), o.address(nil), o.body).refusedWith(t, http.StatusUnauthorized)
		if least := constellation.Role(o.role); least != viewer && o.id != "heartbeat" {
			call(w.viewer, o.address(nil), o.body).refusedWith(t, http.StatusForbidden)
		}
		if !strings.Contains(o.path, "{username}") && o.id != "heartbeat" && o.has(http.StatusForbidden) {
			call(pushes, o.address(nil), o.body).refusedWith(t, http.StatusForbidden)
			if o.id != "listSatellites" && o.id != "listEveryLaunch" { // of which a key of one satellite lists that one
				call(other, o.address(nil), o.body).refusedWith(t, http.StatusForbidden)
			}
		}
		for _, part := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(o.path, -1) {
			if o.has(http.StatusNotFound) {
				call(o.key, o.address(map[string]string{part[1]: missing[part[1]]}), o.body).refusedWith(t, http.StatusNotFound)
			}
		}
		for _, parameter := range o.parameters {
			call(o.key, strings.TrimSuffix(o.with(parameter+"="), "?from=1"), o.body).refusedWith(t, http.StatusUnprocessableEntity)
		}
		// Also of an operation that has none: a body that nobody reads.
		call(o.key, o.address(nil), o.body+strings.Repeat(" ", maxBody+1)).refusedWith(t, http.StatusRequestEntityTooLarge)
		if o.body == "" {
			continue
		}
		call(o.key, o.address(nil), strings.TrimSuffix(o.body, "}")).refusedWith(t, http.StatusBadRequest)
		call(o.key, o.address(nil), o.body, "Content-Type: text/plain").refusedWith(t, http.StatusUnsupportedMediaType)
		wrong := `{"colour":"red"}`
		if o.id == "heartbeat" { // which takes what a newer engine says
			wrong = `{"engine":"engine-1","sequence":-1}`
		}
		call(o.key, o.address(nil), wrong).refusedWith(t, http.StatusUnprocessableEntity)
	}
	for _, o := range operations { // and nothing of that has changed anything
		if got := w.send(o); got.StatusCode >= 300 {
			t.Errorf("%s of what is right = %d %s", o.id, got.StatusCode, got.body)
		}
	}
}

// TestEveryConflict provokes the 409 that the document has.
func TestEveryConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	operations := w.documented("walk")
	w.satellite("taken")
	for _, o := range operations {
		if !o.has(http.StatusConflict) {
			continue
		}
		again, says := o, ""
		switch o.id {
		case "updateUser":
			again.names, again.body, says = map[string]string{"username": "neo"}, `{"role":"viewer"}`, "neo is the last enabled admin"
		case "deleteUser":
			again.names, says = map[string]string{"username": "neo"}, "neo is the last enabled admin"
		case "updateSatellite":
			again.body, says = `{"name":"TAKEN"}`, "a satellite with this name exists already"
		case "deleteAlgorithmVersion":
			again.names, says = map[string]string{"owner": "neo", "name": "hello", "git_hash": hash1}, "is in versions of satellites: "
		case "cancelImport":
			again.names, says = map[string]string{"owner": "neo", "name": "hello", "git_hash": hash1}, "is not being imported: it is ready"
		case "deleteSatelliteVersion":
			again.names["number"], says = "1", "is that of launches: "
		case "patchSatelliteVersion":
			again.query, says = "?base=7", "by neo, and not 7; look at what it changed"
		case "updateLaunch":
			again.body, says = `{"name":"Never Seen"}`, "a launch of this satellite with this name exists already"
		case "updateNotificationDestination":
			again.body, says = `{"name":"EWALK"}`, "another destination has this name"
		case "putNotificationRule":
			again.body, says = strings.Replace(o.body, `"put `, `"TAKEN `, 1), "another rule has this name"
			w.call(w.admin, "POST", "/v1/notifications/rules", strings.Replace(o.body, `"put `, `"taken `, 1)).want(t, http.StatusCreated)
		case "putTokenRule":
			again.body, says = strings.Replace(o.body, `"put `, `"TAKEN `, 1), "another token rule has this name"
			w.call(w.admin, "POST", "/v1/token-rules", strings.Replace(o.body, `"put `, `"taken `, 1)).want(t, http.StatusCreated)
		case "startCollection", "pollMirror", "createMirrorWebhook", "testRegistry", "testNotificationDestination", "resendNotificationDelivery":
			w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("of the key "+o.id), "Idempotency-Key: "+o.id).want(t, http.StatusCreated)
			says = "this Idempotency-Key was used for another request"
		default: // a POST
			again.body, says = o.body+" ", "this Idempotency-Key was used for another request"
			if got := w.send(o, "Idempotency-Key: "+o.id); got.StatusCode >= 300 {
				t.Errorf("%s = %d %s, want success", o.id, got.StatusCode, got.body)
			}
		}
		if said := w.send(again, "Idempotency-Key: "+o.id).refusedWith(t, http.StatusConflict); !strings.Contains(said, says) {
			t.Errorf("%s is refused with %q, want %q", o.id, said, says)
		}
	}
}

// TestEveryShare provokes the 429 that the document has: of a read whose key
// has all its turns taken, of a body beyond what its sender may have on the
// way, and of a request beyond its key's limit; and the 503 of a body beyond what all
// senders may.
func TestEveryShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	operations := w.documented("walk")
	db, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the test is over
	lock, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `LOCK TABLE events IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	slow := make(chan answer)
	for range turnsOfKey {
		go func() { slow <- w.call(w.admin, "GET", "/v1/events", "") }()
	}
	w.eventually("every turn to be taken", func() bool {
		var waiting int
		if err := lock.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == turnsOfKey
	})
	var reads []documented
	refused := make(chan answer)
	for _, o := range operations {
		if o.method == http.MethodGet {
			reads = append(reads, o)
			go func() { refused <- w.send(o) }()
		}
	}
	for range reads {
		if said := (<-refused).refusedWith(t, http.StatusTooManyRequests); !strings.Contains(said, "answers to this API key") {
			t.Errorf("a read beyond the key's share is refused with %q", said)
		}
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range turnsOfKey {
		(<-slow).want(t, http.StatusOK)
	}
	inner := w.server.Config.Handler
	for _, limit := range []struct {
		bodies *httpserve.Bodies
		status int
		says   string
	}{
		{httpserve.NewBodies(maxBody, 1), http.StatusTooManyRequests, "from this address"},
		{httpserve.NewBodies(1, maxBody), http.StatusServiceUnavailable, "to the server at once"},
	} {
		w.server = httptest.NewServer(limit.bodies.Limit(inner)) // as cmd/mothership does
		t.Cleanup(w.server.Close)
		for _, o := range operations {
			if o.body == "" {
				continue
			}
			if said := w.send(o).refusedWith(t, limit.status); !strings.Contains(said, limit.says) {
				t.Errorf("%s beyond a share is refused with %q, want %q", o.id, said, limit.says)
			}
		}
	}
	w.limited(ratelimit.Limit{Name: ratelimit.Key, Quota: 1, Window: time.Hour})
	w.call(w.admin, "GET", "/v1/account", "").want(t, http.StatusOK)
	for _, o := range operations {
		if o.key != w.admin {
			continue // a launch instance's own
		}
		got := w.send(o)
		if said := got.refusedWith(t, http.StatusTooManyRequests); !strings.Contains(said, "this API key made too many requests: 1 an hour are answered") || got.Header.Get("Retry-After") < "3500" {
			t.Errorf("%s beyond the key's limit is refused with %q, to try again after %s", o.id, said, got.Header.Get("Retry-After"))
		}
	}
}
