package install_test

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

// values are what every key is tried with.
var values = []struct{ kind, value string }{
	{"empty", ""},
	{"wrong type", "[1, 2]"},
	{"unknown host", "nonesuch.invalid"},
	{"URL", "https://nonesuch.invalid/team"},
	{"trailing slash", "nonesuch.invalid:1/team/"},
	{"upper case", "NoneSuch.INVALID"},
	{"IPv6 without brackets", "::1"},
	{"IPv6", "[::1]:1"},
}

// What a key makes of a value besides a value of its own.
const (
	refused = "refused"
	taken   = "taken as it is"
	unset   = "taken back"
	file    = "a file, which is tried"
	away    = "an address, which is tried: " // and what it becomes
)

// everyValue is what each key makes of each value.
var everyValue = map[string][]string{
	"stage.container_registry": {refused, refused, away + "nonesuch.invalid", refused, away + "nonesuch.invalid:1/team",
		away + "nonesuch.invalid", refused, away + "[::1]:1"},
	"stage.kubernetes.kubeconfig_path":         {refused, file, file, refused, refused, file, file, file},
	"stage.kubernetes.context":                 {unset, taken, taken, taken, taken, taken, taken, taken},
	"stage.kubernetes.namespace":               {refused, refused, refused, refused, refused, refused, refused, refused},
	"stage.kubernetes.create_namespace":        {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.fqdn":                               {unset, refused, away + "nonesuch.invalid", away + "https://nonesuch.invalid/team", refused, away + "nonesuch.invalid", refused, taken},
	"stage.ingress.provider":                   {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.ingress.class":                      {unset, refused, taken, refused, refused, refused, refused, refused},
	"stage.ingress.host":                       {unset, refused, taken, refused, refused, "nonesuch.invalid", refused, refused},
	"stage.ingress.tls_secret":                 {unset, refused, taken, refused, refused, refused, refused, refused},
	"stage.ingress.annotations.example.com/on": {unset, taken, taken, taken, taken, taken, taken, taken},
	"stage.registry.layout":                    {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.registry.pull_secret":               {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.registry.insecure":                  {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.registry.ca_file":                   {unset, file, file, refused, refused, file, file, file},
	"stage.profile":                            {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue":                              {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue.storage":                      {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue.storage_class":                {unset, refused, taken, refused, refused, refused, refused, refused},
	"stage.queue.size":                         {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue.keep":                         {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue.share":                        {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.queue.retry_timeouts":               {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.callbacks.allow":                    {unset, refused, taken, refused, refused, "nonesuch.invalid", "::1/128", refused},
	"stage.resources.queue.cpu":                {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.queue.cpu_limit":          {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.queue.memory":             {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.replicas.foo/bar":                   {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.foo/bar.cpu":              {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.foo/bar.memory":           {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.foo/bar.gpu":              {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.foo/bar.cpu_limit":        {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.engine.cpu":               {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.engine.cpu_limit":         {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.resources.engine.memory":            {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.env.foo/bar.NAME":                   {unset, taken, taken, taken, taken, taken, taken, taken},
	"stage.env_from.foo/bar.NAME":              {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.secrets.foo/bar.NAME":               {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.volumes.foo/bar.data":               {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.weights.mount":                      {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.weights.cache":                      {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.mothership.proxy":                   {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.mothership.ca_file":                 {unset, file, file, refused, refused, file, file, file},
	"stage.metrics.allow":                      {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.egress.foo/bar":                     {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.metrics.service_monitor":            {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.metrics.pod_monitor":                {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.tls.secret":                         {unset, refused, taken, refused, refused, refused, refused, refused},
	"stage.tls.only":                           {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.auth.jwt.issuer":                    {unset, refused, taken, taken, taken, taken, taken, taken},
	"stage.auth.jwt.audience":                  {unset, "[1,2]", taken, taken, taken, taken, taken, taken},
	"stage.auth.jwt.jwks":                      {unset, refused, refused, taken, refused, refused, refused, refused},
	"stage.auth.jwt.ca_file":                   {unset, file, file, refused, refused, file, file, file},
	"stage.auth.jwt.algorithms_claim":          {unset, refused, taken, taken, taken, taken, taken, taken},
	"stage.auth.jwt.algorithms_prefix":         {unset, refused, taken, taken, taken, taken, taken, taken},
	"stage.auth.jwt.leeway":                    {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.auth.client_ca":                     {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.auth.client_allow":                  {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.own_key":                            {unset, refused, refused, refused, refused, refused, refused, refused},
	"stage.heartbeat":                          {unset, refused, refused, refused, refused, refused, refused, refused},
}

func TestEveryKeyWithEveryKindOfValue(t *testing.T) {
	t.Parallel()
	m := newMother(t, newKey(t), 1, 1000)
	f := folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.profile=edge")
	before, err := os.ReadFile(f.Path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	everyValue := maps.Clone(everyValue)
	maps.Copy(everyValue, everyPlacement)
	for _, setting := range settings.All() {
		key := strings.NewReplacer("<name>", "example.com/on", "<variable>", "NAME", "<volume>", "data", "<vanity>", "foo/bar").Replace(setting.Key)
		if len(everyValue[key]) != len(values) {
			t.Errorf("%s is not tried with every kind of value", key)
			continue
		}
		for i, value := range values {
			for _, online := range []bool{false, true} {
				if err := os.WriteFile(f.Path("config.yaml"), before, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := install.AcceptConfig(t.Context(), f, progress.New(io.Discard)); err != nil { // it was edited
					t.Fatal(err)
				}
				result, err := install.Configure(t.Context(), f, []string{key + "=" + value.value}, online, progress.New(io.Discard))
				wantValue(t, key, value.value, everyValue[key][i], online, result, err)
				if after, _ := os.ReadFile(f.Path("config.yaml")); err != nil && string(after) != string(before) {
					t.Errorf("%s=%s was refused and is in config.yaml:\n%s", key, value.value, after)
				}
			}
		}
	}
}

// wantValue holds what became of a value to what the table says.
func wantValue(t *testing.T, key, value, want string, online bool, result *install.Configured, err error) {
	t.Helper()
	address, tried := strings.CutPrefix(want, away)
	switch {
	case want == refused, want == file && online:
		wantRefused(t, key, value, fault.CodeUsage, err)
		return
	case tried && online:
		wantRefused(t, key, value, fault.CodeNetwork, err)
		return
	case err != nil:
		t.Errorf("%s=%s, online %v: %v; want it taken", key, value, online, err)
		return
	}
	got := result.Set[0]
	switch {
	case want == unset && got.State != "set", want == taken && got.Value == value, tried && got.Value == address:
	case want == file && strings.HasPrefix(got.Value, "/") && strings.HasSuffix(got.Value, "/"+value):
	case got.Value == want:
	default:
		t.Errorf("%s=%s, online %v, became %+v; want %s", key, value, online, got, want)
	}
}

// wantRefused fails unless a refusal is one sentence that names the key and
// says that nothing was changed, with the exit code of its reason.
func wantRefused(t *testing.T, key, value string, code fault.Code, err error) {
	t.Helper()
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != int(code) {
		t.Errorf("%s=%s: %v, want the exit code %d", key, value, err, code)
		return
	}
	lines := strings.Split(err.Error(), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "→ ") }) // what to do
	if code == fault.CodeUsage && !strings.HasPrefix(lines[0], key) || len(lines) != 1 || !strings.Contains(lines[0], "nothing was changed") {
		t.Errorf("%s=%s is refused with %q", key, value, err)
	}
}

func TestConfigureGivesTheNearest(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	for assignment, want := range map[string]string{
		"STAGE.FQDN=a.example.com":                        "did you mean stage.fqdn",
		"stage.ingress.provider=NGINX":                    `did you mean "nginx"`,
		"stage.heartbeat=onn":                             `did you mean "on"`,
		"stage.heartbeat=perhaps":                         `is one of on, off; not "perhaps"`,
		"stage.fqdn=::1":                                  "in brackets: [::1]",
		"stage.fqdn=a.example.com:70000":                  "host[:port]",
		"stage.container_registry=https://A.example/Team": "write a.example/team",
		"stage.container_registry=fe80::1/team":           "in brackets: [fe80::1]",
		"stage.container_registry=quay.io/a/b":            "is HOST/NAMESPACE, as Quay wants it",
		"stage.ingress.host=192.0.2.1":                    "no address",
		"stage.ingress.annotations.a b=c":                 "no annotation's name",
		"stage.mothership.proxy=http://neo:zion@p:3128":   "cannot hold a user or password",
		"stage.mothership.proxy=http://neo:zion%@p:3128":  "cannot hold a user or password",
		"stage.fqdn=https://neo:zion@a.example.com":       "no user or password",
		"stage.container_registry=neo:zion@a.example/x":   "no user, password or digest",
	} {
		_, err := install.Configure(t.Context(), f, []string{assignment}, false, progress.New(io.Discard))
		wantCode(t, err, fault.CodeUsage, want)
		if strings.Contains(err.Error(), "zion") {
			t.Errorf("%s: %v shows the password", assignment, err)
		}
	}
}

// What an editor left in config.yaml is said by line and in words.
func TestAConfigurationEditedByHand(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	for text, want := range map[string]string{
		"stage:\n  container_registry: [1]":    `line 2: a list stands where one value belongs`,
		"stage:\n  container_registri: a.b/c":  `line 2: there is no setting "container_registri"; did you mean "container_registry"`,
		"stage: [":                             "is not YAML: line 1",
		"stage: {registry: {insecure: maybe}}": `line 1: "maybe" stands where true or false belongs`,
		"stage: {replicas: {foo/bar: many}}":   `line 1: "many" stands where a whole number or MIN..MAX belongs`,
		"stage: {replicas: {foo/bar: [2]}}":    `line 1: a list stands where a whole number or MIN..MAX belongs`,
		"stage: {replicas: {foo/bar: 9..2}}":   `line 1: "9..2" stands where`,
		"[]":                                   "line 1: a list stands where a group of settings",
	} {
		if err := os.WriteFile(f.Path("config.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := install.Configure(t.Context(), f, []string{"stage.profile=edge"}, false, progress.New(io.Discard))
		wantCode(t, err, fault.CodeUsage, want, f.Path("config.yaml"))
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q has several lines", text, err)
		}
	}
}
