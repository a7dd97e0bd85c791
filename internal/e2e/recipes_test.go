package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/install"
)

// ofRecipes is the guide's page with a launch as files, and recipes for CI.
const ofRecipes = "19-launches-from-git.md"

// recipes reads each recipe as what it is, and runs what it has a shell do, with
// what its CI would give it: from an empty workspace, against the launch that is
// deployed, of which nothing changes.
func (g *guide) recipes(t *testing.T) {
	var files []string
	for _, block := range g.blocks(t, ofRecipes) {
		if block.language == "yaml" || block.language == "groovy" {
			files = append(files, block.text)
		}
	}
	if len(files) != 7 {
		t.Fatalf("%s has %d files, want two of a launch and five of recipes", ofRecipes, len(files))
	}
	c := g.newCI(t, files[0], files[1])
	for i, recipe := range []struct {
		name string
		run  func(t *testing.T, workspace, text string)
	}{{"GitHub", c.github}, {"GitLab", c.gitlab}, {"Jenkins", c.jenkins}, {"Argo CD", c.argo}} {
		t.Run(recipe.name, func(t *testing.T) {
			recipe.run(t, c.workspace(t), c.here.Replace(files[2+i]))
		})
	}
	t.Run("what Argo CD applies", func(t *testing.T) { c.application(t, files[6]) })
	c.logins(t)
}

// unchanged reads what up printed: nothing was to be done.
func (c *ci) unchanged(t *testing.T, file string) {
	t.Helper()
	var result install.UpResult
	readJSON(t, file, &result)
	if result.Deploy == nil || !result.Deploy.Ready || len(result.Deploy.Changes) > 0 || result.Deploy.Pushed > 0 {
		t.Errorf("the recipe's up = %+v, want the launch ready and nothing changed", result.Deploy)
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Errorf("read %s: %v", file, err)
	}
}

// read reads a recipe, in which nothing may be that a CI would not look for.
func read(t *testing.T, text string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("there is more than one document: %v", err)
	}
}

var expression = regexp.MustCompile(`\$\{\{ *([a-z_.A-Z]+) *\}\}`)

func (c *ci) github(t *testing.T, workspace, text string) {
	type step struct {
		Name, Uses, Run, If string
		With                map[string]string
		Env                 map[string]string
	}
	var workflow struct {
		Name        string
		On          struct{ Push struct{ Branches []string } }
		Concurrency string
		Jobs        map[string]struct {
			RunsOn string `yaml:"runs-on"`
			Env    map[string]string
			Steps  []step
		}
	}
	read(t, text, &workflow)
	values := map[string]string{
		"secrets.ALGO_ADMIN_API_KEY": c.key, "secrets.REGISTRY_PASSWORD": c.Customer.Password, "secrets.KUBECONFIG": c.kubeconfig,
		"vars.REGISTRY": c.Registry, "vars.SATELLITE_ID": c.satelliteID, "vars.LAUNCH_ID": c.launchID, "vars.MOTHERSHIP_KEY_ID": c.keyID, "github.run_id": "1",
	}
	expand := func(s string) string {
		return expression.ReplaceAllStringFunc(s, func(found string) string {
			value, ok := values[expression.FindStringSubmatch(found)[1]]
			if !ok {
				t.Errorf("the workflow names %s, which the text around it does not", found)
			}
			return value
		})
	}
	job, ok := workflow.Jobs["deploy"]
	if !ok || len(workflow.Jobs) != 1 || job.RunsOn == "" || len(workflow.On.Push.Branches) == 0 {
		t.Fatalf("workflow = %+v", workflow)
	}
	ran := 0
	for _, step := range job.Steps {
		if (step.Uses == "") == (step.Run == "") {
			t.Errorf("the step %q has uses %q and run %q, want one of them", step.Name, step.Uses, step.Run)
		}
		for _, value := range step.With {
			expand(value)
		}
		if step.Run == "" {
			continue
		}
		env := map[string]string{}
		for _, scope := range []map[string]string{job.Env, step.Env} {
			for name, value := range scope {
				env[name] = expand(value)
			}
		}
		c.shell(t, workspace, env, expand(step.Run), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
		ran++
	}
	if ran != 3 {
		t.Errorf("%d steps were run, want 3", ran)
	}
	c.unchanged(t, filepath.Join(workspace, "deployed.json"))
}

// gitlabJob is a job of GitLab's, as far as recipes need it.
type gitlabJob struct {
	Stage         string
	ResourceGroup string `yaml:"resource_group"`
	Rules         []struct{ If string }
	Variables     map[string]string
	Cache         struct {
		Key   string
		Paths []string
	}
	BeforeScript []string `yaml:"before_script"`
	Script       []string
	Artifacts    struct {
		When  string
		Paths []string
	}
}

// gitlabRuns runs the only job that a file has.
func (c *ci) gitlabRuns(t *testing.T, workspace, text, name string) gitlabJob {
	t.Helper()
	var jobs map[string]gitlabJob
	read(t, text, &jobs)
	job, ok := jobs[name]
	if !ok || len(jobs) != 1 {
		t.Fatalf("jobs = %+v, want %s alone", jobs, name)
	}
	env := c.environment(t)
	env["CI_PROJECT_DIR"], env["REGISTRY_USER"], env["REGISTRY_PASSWORD"] = workspace, c.Customer.Username, c.Customer.Password
	for name, value := range job.Variables {
		env[name] = os.Expand(value, func(name string) string { return env[name] })
	}
	script := strings.Join(append(job.BeforeScript, job.Script...), "\n")
	c.shell(t, workspace, env, script, "bash", "-eo", "pipefail", "-c")
	return job
}

// environment is what a project gives each job.
func (c *ci) environment(t *testing.T) map[string]string {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(c.kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"ALGO_ADMIN_API_KEY": c.key, "KUBECONFIG": kubeconfig, "REGISTRY": c.Registry,
		"SATELLITE": c.satelliteID, "LAUNCH": c.launchID, "MOTHERSHIP_KEY": c.keyID,
	}
}

func (c *ci) gitlab(t *testing.T, workspace, text string) {
	job := c.gitlabRuns(t, workspace, text, "deploy")
	for _, path := range append(job.Cache.Paths, job.Artifacts.Paths...) {
		if _, err := os.Stat(filepath.Join(workspace, path)); err != nil {
			t.Errorf("what is kept from job to job: %v", err)
		}
	}
	var status install.StatusResult
	readJSON(t, filepath.Join(workspace, "status.json"), &status)
	if !status.Healthy() {
		t.Errorf("status after the recipe: %+v", status)
	}
}

var (
	jenkinsVariable = regexp.MustCompile(`(?m)^ +([A-Z_]+) += (.+)$`)
	jenkinsShell    = regexp.MustCompile(`(?s)sh (?:'''(.*?)'''|'([^'\n]*)')`)
	jenkinsText     = regexp.MustCompile(`(?s)'''.*?'''|'[^'\n]*'|"[^"\n]*"`)
)

// jenkins takes a Jenkinsfile apart as far as that goes without Groovy.
func (c *ci) jenkins(t *testing.T, workspace, text string) {
	code := jenkinsText.ReplaceAllString(text, "")
	if strings.Count(code, "{") != strings.Count(code, "}") || strings.ContainsAny(code, `'"`) || !strings.HasPrefix(code, "pipeline {") {
		t.Errorf("braces or quotes are not closed, or it is no pipeline:\n%s", code)
	}
	env := c.environment(t)
	credentials := map[string]string{"credentials('constellation-api-key')": c.key, "credentials('kubeconfig')": env["KUBECONFIG"]}
	delete(env, "ALGO_ADMIN_API_KEY")
	delete(env, "KUBECONFIG")
	env["DOCKER_CONFIG"] = c.Customer.DockerConfig // of the agent, which stays
	for _, m := range jenkinsVariable.FindAllStringSubmatch(text, -1) {
		value, ok := credentials[m[2]]
		if !ok {
			value = strings.ReplaceAll(strings.Trim(m[2], `'"`), "${env.JENKINS_HOME}", workspace)
		}
		env[m[1]] = value
	}
	scripts := jenkinsShell.FindAllStringSubmatch(text, -1)
	if len(scripts) != 2 || strings.Count(code, "sh ") != 2 {
		t.Fatalf("the pipeline has the shell's steps %q, want two", scripts)
	}
	for _, script := range scripts {
		c.shell(t, workspace, env, script[1]+script[2], "/bin/sh", "-xec")
	}
}

// rendered is where the recipe for Argo CD renders to.
const rendered = "manifests/production"

func (c *ci) argo(t *testing.T, workspace, text string) {
	origin := t.TempDir()
	env := map[string]string{"ORIGIN": origin}
	git := []string{"sh", "-ec"}
	c.shell(t, workspace, env, `git init -q -b main; git config user.name ci; git config user.email ci@example.com
		git add launches; git commit -qm launches; git init -q --bare "$ORIGIN"; git remote add origin "$ORIGIN"`, git...)
	text = strings.Replace(text, "  script:\n", "  variables: {ALGO_MOTHERSHIP: '"+c.Mothership.URL+"', ALGO_DEPLOYMENT_DIR: $CI_PROJECT_DIR/deployment, DOCKER_CONFIG: '"+c.Customer.DockerConfig+"'}\n  script:\n", 1)
	c.gitlabRuns(t, workspace, text, "render")
	checkout := t.TempDir()
	c.shell(t, checkout, env, `git clone -q --branch main "$ORIGIN" .`, git...)
	data, err := os.ReadFile(filepath.Join(checkout, rendered, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct{ Resources []string }
	if err := yaml.Unmarshal(data, &kustomization); err != nil || len(kustomization.Resources) < 10 {
		t.Fatalf("the kustomization has %q, %v", kustomization.Resources, err)
	}
	for _, resource := range kustomization.Resources {
		var object struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		data, err := os.ReadFile(filepath.Join(checkout, rendered, resource))
		if err == nil {
			err = yaml.Unmarshal(data, &object)
		}
		if err != nil || object.Kind == "" || object.Kind == "Secret" || object.Kind != "Namespace" && object.Metadata.Namespace != namespace {
			t.Errorf("%s in Git: %s of namespace %q, %v; want an object of %s that is no Secret", resource, object.Kind, object.Metadata.Namespace, err, namespace)
		}
	}
}

// application is what Argo CD is told: where the recipe has rendered to, and to go
// where the launch goes.
func (c *ci) application(t *testing.T, text string) {
	var a struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct{ Name, Namespace string }
		Spec       struct {
			Project string
			Source  struct {
				RepoURL        string `yaml:"repoURL"`
				TargetRevision string `yaml:"targetRevision"`
				Path           string
			}
			Destination struct{ Server, Namespace string }
			SyncPolicy  struct {
				Automated struct {
					Prune    bool
					SelfHeal bool `yaml:"selfHeal"`
				}
			} `yaml:"syncPolicy"`
		}
	}
	read(t, strings.ReplaceAll(text, "namespace: algorithms", "namespace: "+namespace), &a)
	if a.APIVersion != "argoproj.io/v1alpha1" || a.Kind != "Application" || a.Spec.Source.Path != rendered || a.Spec.Destination.Namespace != namespace {
		t.Errorf("application = %+v, want what is rendered to %s in namespace %s", a, rendered, namespace)
	}
}
