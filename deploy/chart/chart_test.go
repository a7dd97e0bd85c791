// Package chart holds the Helm chart of this folder against Helm's own library and
// a real API server.
package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const namespace = "mothership"

// open loads the chart as helm does.
func open(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render renders the chart as `helm template RELEASE` does.
func render(c *chart.Chart, release string, values map[string]any) (map[string]string, error) {
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// valueSets are those of testdata, by the name of their file.
func valueSets(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d value sets, %v", len(files), err)
	}
	sets := map[string]map[string]any{}
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), ".yaml")] = read(t, file)
	}
	return sets
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return values
}

// objects are what a rendered chart makes.
func objects(t *testing.T, files map[string]string) []*unstructured.Unstructured {
	t.Helper()
	var list []*unstructured.Unstructured
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		for _, document := range regexp.MustCompile(`(?m)^---\n`).Split(text, -1) {
			object := map[string]any{}
			if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, document)
				continue
			}
			if len(object) > 0 {
				list = append(list, &unstructured.Unstructured{Object: object})
			}
		}
	}
	return list
}

// find is the object of a kind and name.
func find(t *testing.T, list []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range list {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func at(t *testing.T, o *unstructured.Unstructured, path ...string) any {
	t.Helper()
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// container is the only one of a workload.
func container(t *testing.T, o *unstructured.Unstructured) map[string]any {
	t.Helper()
	list, ok := at(t, o, "spec", "template", "spec", "containers").([]any)
	if !ok || len(list) != 1 {
		t.Fatalf("%s %s has the containers %v, want one", o.GetKind(), o.GetName(), list)
	}
	return list[0].(map[string]any)
}

// environment is what a container is told: values, and where others come from.
func environment(c map[string]any) map[string]string {
	env := map[string]string{}
	for _, v := range c["env"].([]any) {
		variable := v.(map[string]any)
		value, ok := variable["value"].(string)
		if !ok {
			value = "(a Secret's)"
		}
		env[variable["name"].(string)] = value
	}
	return env
}

// TestRendersAlike: the same values give the same bytes, however often.
func TestRendersAlike(t *testing.T) {
	t.Parallel()
	for name, values := range valueSets(t) {
		first, err := render(open(t), "constellation", values)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for range 5 {
			again, err := render(open(t), "constellation", values)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range first {
				if again[file] != text {
					t.Errorf("%s: %s is rendered\n%s\nand then\n%s", name, file, text, again[file])
				}
			}
		}
	}
	// Nothing in the templates could differ, in a moment or on a cluster.
	for _, template := range open(t).Templates {
		words := regexp.MustCompile(`"[^"\n]*"`).ReplaceAll(template.Data, nil)
		if found := regexp.MustCompile(`\b(rand\w*|uuidv4|now|ago|lookup|genPrivateKey|gen\w*Cert\w*|genCA\w*|derivePassword|htpasswd|bcrypt|encryptAES|getHostByName|env|expandenv)(\s|\)).*}}`).Find(words); found != nil {
			t.Errorf("%s calls %s", template.Name, found)
		}
	}
}

// TestWrong: each mistake is a sentence that names the value.
func TestWrong(t *testing.T) {
	t.Parallel()
	base := read(t, "testdata/values/bucket.yaml")
	for overlay, want := range map[string]string{
		`{image: {repository: ""}}`: "image.repository is missing: give the REGISTRY/PATH", `{publicURL: ""}`: "publicURL is missing: give the address",
		`{secretKey: {existingSecret: ""}}`: "secretKey.existingSecret is missing: give a Secret", `{database: {existingSecret: ""}}`: "a database is missing: give",
		`{postgresql: {enabled: true, existingSecret: a}}`:                      "go not together",
		`{postgresql: {enabled: true}, database: {existingSecret: ""}}`:         "postgresql.existingSecret is missing",
		`{storage: {url: "", existingSecret: ""}}`:                              "3 replicas need a storage that all of them reach",
		`{storage: {url: ""}, replicas: 1}`:                                     "storage.existingSecret is for a bucket",
		`{storage: {url: "", existingSecret: "", redirect: true}, replicas: 1}`: "storage.redirect is for a bucket",
		`{oidc: {issuer: "https://sso.example.com", roles: [admin=a]}}`:         "oidc.clientID is missing",
		`{oidc: {issuer: "https://sso.example.com", clientID: a}}`:              "oidc.roles is empty",
		`{backup: {url: "s3://backups", existingClaim: a}}`:                     "backup.url and backup.existingClaim go not together",
		`{backup: {url: "file:///srv"}}`:                                        "at '/backup/url'",
		`{backup: {schedule: daily}}`:                                           "at '/backup/schedule'",
		`{settings: {backup: "s3://backups"}}`:                                  "settings.backup is not for here",
		`{oidc: {clientID: a}}`:                                                 "oidc.issuer is missing",
		`{publicURL: "http://a.example.com", ingress: {tlsSecret: a}}`:          "ingress.tlsSecret is for an https:// publicURL",
		`{serviceAccount: {create: false, annotations: {a: b}}}`:                "serviceAccount.annotations are for a service account that this chart makes",
		`{replicas: 0}`:                                 "at '/replicas': minimum: got 0, want 1",
		`{replicas: three}`:                             "at '/replicas': got string, want integer",
		`{replica: 3}`:                                  "additional properties 'replica' not allowed",
		`{publicURL: mothership.example.com}`:           "at '/publicURL': 'mothership.example.com' does not match pattern",
		`{publicURL: "https://a.example.com/path?a=b"}`: "at '/publicURL'",
		`{image: {repository: "registry.example.com/constellation:1"}}`:             "at '/image/repository'",
		`{registryHost: "https://a"}`:                                               "at '/registryHost'",
		`{image: {digest: "sha256:12"}}`:                                            "at '/image/digest'",
		`{storage: {url: "s3://key:secret@bucket"}}`:                                "at '/storage/url'",
		`{storage: {url: "gs://bucket"}}`:                                           "at '/storage/url'",
		`{storage: {volume: {accessModes: [ReadOnlyMany]}}}`:                        "at '/storage/volume/accessModes/0': value must be one of",
		`{storage: {volume: {size: much}}}`:                                         "at '/storage/volume/size'",
		`{settings: {listen: ":1"}}`:                                                "settings.listen is not for here: the chart sets it",
		`{settings: {oidc-issuer: "https://a"}}`:                                    "settings.oidc-issuer is not for here",
		`{settings: {otlp-endpoint: "http://a"}}`:                                   "settings.otlp-endpoint is not for here",
		`{otlp: {endpoint: "http://neo:secret@a"}}`:                                 "at '/otlp/endpoint'",
		`{otlp: {endpoint: "http://a", samplerArg: "2"}}`:                           "at '/otlp/samplerArg'",
		`{otlp: {sampler: "parentbased_traceidratio"}}`:                             "otlp.endpoint is missing",
		`{settings: {LOG: a}}`:                                                      "invalid propertyName 'LOG'",
		`{oidc: {roles: [admins]}}`:                                                 "at '/oidc/roles/0'",
		`{service: {type: ExternalName}}`:                                           "at '/service/type': value must be one of",
		`{metrics: {serviceMonitor: {enabled: "yes"}}}`:                             "at '/metrics/serviceMonitor/enabled': got string, want boolean",
		`{podDisruptionBudget: {maxUnavailable: 0}}`:                                "at '/podDisruptionBudget/maxUnavailable'",
		`{resources: {limit: {memory: 1Gi}}}`:                                       "at '/resources': additional properties 'limit' not allowed",
		`{secretKey: {existingSecret: a}, image: {repository: ""}, publicURL: ""}`:  "image.repository is missing", // and the next, at once:
		`{secretKey: {existingSecret: ""}, image: {repository: ""}, publicURL: ""}`: "\n- publicURL is missing",
	} {
		over := map[string]any{}
		if err := yaml.Unmarshal([]byte(overlay), &over); err != nil {
			t.Fatalf("%s: %v", overlay, err)
		}
		if _, err := render(open(t), "r", loader.MergeMaps(base, over)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", overlay, err, want)
		}
	}
}

// TestSchemaIsWhole: each default is a value that the schema names, so that no
// name of values.yaml can be written wrongly.
func TestSchemaIsWhole(t *testing.T) {
	t.Parallel()
	c := open(t)
	schema := map[string]any{}
	if err := yaml.Unmarshal(c.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, values, schema map[string]any)
	compare = func(path string, values, schema map[string]any) {
		properties, ok := schema["properties"].(map[string]any)
		if !ok {
			return // any names
		}
		for name := range properties {
			if _, ok := values[name]; !ok && name != "global" && path+name != "resources.claims" && !strings.HasSuffix(path, "resources.") {
				t.Errorf("values.yaml does not say %s%s", path, name)
			}
		}
		for name, value := range values {
			below, ok := value.(map[string]any)
			inner, known := properties[name].(map[string]any)
			if !known {
				t.Errorf("the schema lacks %s%s", path, name)
			}
			if ok && known {
				compare(path+name+".", below, inner)
			}
		}
	}
	compare("", c.Values, schema)
}

// TestSettings: what the chart tells the server are settings that serve has.
func TestSettings(t *testing.T) {
	t.Parallel()
	files, err := render(open(t), "constellation", valueSets(t)["everything"])
	if err != nil {
		t.Fatal(err)
	}
	env := environment(container(t, find(t, objects(t, files), "Deployment", "constellation")))
	for name, want := range map[string]string{
		"CONSTELLATION_STORAGE": "s3://constellation?endpoint=http://minio:9000", "CONSTELLATION_STORAGE_REDIRECT": "true", "CONSTELLATION_TRUSTED_PROXY": "10.0.0.0/8,192.168.0.0/16",
		"CONSTELLATION_OIDC_ROLE": "admin=platform-admins,viewer=*", "CONSTELLATION_OIDC_SIGN_UP": "false", "CONSTELLATION_OIDC_SCOPES": "openid,groups",
		"CONSTELLATION_AUDIT_RETENTION_DAYS": "36500", "CONSTELLATION_REQUIRE_IF_MATCH": "true", "CONSTELLATION_HEARTBEAT_INTERVAL": "5s", "CONSTELLATION_STOP_DELAY": "5s",
		"CONSTELLATION_BACKUP": "s3://backups/constellation?endpoint=http://minio:9000", "CONSTELLATION_BACKUP_SCHEDULE": "30 1 * * 1-5", "CONSTELLATION_BACKUP_KEEP": "7", "CONSTELLATION_BACKUP_VERIFY": "false",
		"DATABASE_URL": "postgres://constellation@constellation-postgresql/constellation?sslmode=disable", "PGPASSWORD": "(a Secret's)", "TZ": "UTC",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	bin := os.Getenv("CONSTELLATION_BIN")
	if bin == "" {
		t.Skip("the rest needs CONSTELLATION_BIN (the folder with the built programs): run make ways")
	}
	help, err := exec.CommandContext(t.Context(), filepath.Join(bin, "mothership"), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range env {
		if !slices.Contains([]string{"PGPASSWORD", "PGSSLROOTCERT", "TZ"}, name) && !bytes.Contains(help, []byte("["+name+"]")) {
			t.Errorf("serve has no setting %s", name)
		}
	}
}

// TestBackupToAVolume: the claim is mounted where the server is told to write.
func TestBackupToAVolume(t *testing.T) {
	t.Parallel()
	values := loader.MergeMaps(read(t, "testdata/values/bucket.yaml"), map[string]any{"backup": map[string]any{"existingClaim": "backups"}})
	files, err := render(open(t), "constellation", values)
	if err != nil {
		t.Fatal(err)
	}
	deployment := find(t, objects(t, files), "Deployment", "constellation")
	env := environment(container(t, deployment))
	if env["CONSTELLATION_BACKUP"] != "/srv/backups" || env["CONSTELLATION_BACKUP_SCHEDULE"] != "0 2 * * *" || env["CONSTELLATION_BACKUP_KEEP"] != "14" || env["CONSTELLATION_BACKUP_VERIFY"] != "true" {
		t.Errorf("the server is told %v", env)
	}
	mounted := slices.ContainsFunc(container(t, deployment)["volumeMounts"].([]any), func(m any) bool {
		return m.(map[string]any)["name"] == "backups" && m.(map[string]any)["mountPath"] == "/srv/backups"
	})
	claimed := slices.ContainsFunc(at(t, deployment, "spec", "template", "spec", "volumes").([]any), func(v any) bool {
		claim, _ := v.(map[string]any)["persistentVolumeClaim"].(map[string]any)
		return claim["claimName"] == "backups"
	})
	if !mounted || !claimed {
		t.Errorf("the claim is mounted: %v, and a volume: %v", mounted, claimed)
	}
}

// TestBelongsToItsSource: version and alert rules are those of this source.
func TestBelongsToItsSource(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../internal/constellation/version.go")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^const Version = "(.*)"`).FindSubmatch(source)
	c := open(t)
	if version == nil || c.Metadata.Version != string(version[1]) || c.Metadata.AppVersion != string(version[1]) {
		t.Errorf("Chart.yaml is of %s with %s, the source of %s", c.Metadata.Version, c.Metadata.AppVersion, version)
	}
	alerts, err := os.ReadFile("../grafana/mothership-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("files/alerts.yaml")
	if err != nil || !bytes.Equal(own, alerts) {
		t.Errorf("files/alerts.yaml is not deploy/grafana/mothership-alerts.yaml (%v): copy it here", err)
	}
	for _, f := range c.Raw {
		if strings.HasSuffix(f.Name, ".go") || strings.HasPrefix(f.Name, "testdata") || strings.HasPrefix(f.Name, "go.") {
			t.Errorf("%s would travel with the chart: name it in .helmignore", f.Name)
		}
	}
}

// TestNotes: who installs is told what to do next.
func TestNotes(t *testing.T) {
	t.Parallel()
	files, err := render(open(t), "trial", valueSets(t)["trial"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"kubectl -n mothership logs deployment/trial-constellation | grep setup", "http://mothership.example.com:8080",
		"is for trials", "trial-constellation-images", "Nothing leads to it from outside yet",
	} {
		if notes := files["constellation/templates/NOTES.txt"]; !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
}
