package install

import (
	"net/http"
	"testing"
	"time"
)

func TestWidth(t *testing.T) {
	t.Parallel()
	w := newWidth()
	fill := func() {
		for w.running < w.limit {
			if err := w.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	w.look(100)
	if w.limit != firstWidth+1 {
		t.Errorf("width %d after a first look, want one more than %d", w.limit, firstWidth)
	}
	fill()
	w.look(105) // hardly more: not worth another
	if w.limit != firstWidth+1 {
		t.Errorf("width %d after a gain of 5%%, want %d", w.limit, firstWidth+1)
	}
	w.look(200)
	w.look(1e9) // one is free now: it is not the width that holds it back
	if w.limit != firstWidth+2 {
		t.Errorf("width %d with one free, want %d", w.limit, firstWidth+2)
	}
	for range 5 {
		w.trouble()
	}
	if w.limit != 1 {
		t.Errorf("width %d after much trouble, want 1", w.limit)
	}
	w.look(1e12)
	if w.limit != 1 {
		t.Errorf("width %d right after trouble, want 1", w.limit)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		after, date string
		want        time.Duration
	}{
		"seconds":        {after: "7", want: 7 * time.Second},
		"too long":       {after: "86400", want: longestWait},
		"none":           {},
		"nonsense":       {after: "soon"},
		"server's clock": {after: "Thu, 01 Jan 1970 00:00:09 GMT", date: "Thu, 01 Jan 1970 00:00:04 GMT", want: 5 * time.Second},
		"past":           {after: "Thu, 01 Jan 1970 00:00:01 GMT", date: "Thu, 01 Jan 1970 00:00:04 GMT"},
	}
	for name, test := range tests {
		r := &http.Response{Header: http.Header{"Retry-After": {test.after}, "Date": {test.date}}}
		if got := retryAfter(r); got != test.want {
			t.Errorf("%s: retryAfter = %s, want %s", name, got, test.want)
		}
	}
}

func TestRepositoriesFollowTheRegistrysRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ registry, want string }{ // want "" is refused
		{"registry.example.com:5000", "registry.example.com:5000/neo/hello"},
		{"registry.example.com/a/b", "registry.example.com/a/b/neo/hello"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/neo/hello"},
		{"team.azurecr.io/x", "team.azurecr.io/x/neo/hello"},
		{"eu.gcr.io/project", "eu.gcr.io/project/neo/hello"},
		{"eu.gcr.io", ""},
		{"europe-docker.pkg.dev/project/repository", "europe-docker.pkg.dev/project/repository/neo/hello"},
		{"europe-docker.pkg.dev/project", ""},
		{"registry.gitlab.com/group/project", "registry.gitlab.com/group/project/neo/hello"},
		{"registry.gitlab.com/group", ""},
		{"default-route-openshift-image-registry.apps.example.com/project", "default-route-openshift-image-registry.apps.example.com/project/neo-hello"},
		{"default-route-openshift-image-registry.apps.example.com/project/more", ""},
		{"quay.io/team", "quay.io/team/neo-hello"},
		{"harbor.example.com/project", "harbor.example.com/project/neo/hello"},
		{"docker.io/team", "docker.io/team/neo-hello"},
		{"docker.io", ""},
	}
	for _, test := range tests {
		stage := Stage{ContainerRegistry: test.registry}
		err := checkRegistryPath(stage.ContainerRegistry)
		if (err != nil) != (test.want == "") {
			t.Errorf("checkRegistryPath(%s) = %v", test.registry, err)
		} else if err == nil && below(stage, "neo", "hello") != test.want {
			t.Errorf("below(%s) = %s, want %s", test.registry, below(stage, "neo", "hello"), test.want)
		}
	}
	if got, want := createECR("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "neo/hello"), "aws ecr create-repository --region eu-west-1 --repository-name neo/hello"; got != want {
		t.Errorf("createECR = %s, want %s", got, want)
	}
}
