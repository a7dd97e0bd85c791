package chart

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"sigs.k8s.io/yaml"
)

// TestIngress: what leads to the mothership leads to /v2 too, where docker looks for it.
func TestIngress(t *testing.T) {
	t.Parallel()
	for overlay, want := range map[string]string{
		`{}`: "mothership.example.com/",
		`{publicURL: "https://www.example.com:8443/mothership/"}`:                                  "www.example.com/mothership www.example.com/v2",
		`{publicURL: "https://www.example.com/mothership", registryHost: images.example.com:5000}`: "www.example.com/mothership images.example.com/v2",
		`{registryHost: images.example.com}`:                                                       "mothership.example.com/ images.example.com/v2",
		`{publicURL: "http://10.0.0.1"}`:                                                           "/",
		`{publicURL: "http://10.0.0.1:80/a"}`:                                                      "/a /v2",
	} {
		over := map[string]any{}
		if err := yaml.Unmarshal([]byte(overlay), &over); err != nil {
			t.Fatal(err)
		}
		over["ingress"] = map[string]any{"enabled": true}
		files, err := render(open(t), "constellation", loader.MergeMaps(valueSets(t)["bucket"], over))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rule := range at(t, find(t, objects(t, files), "Ingress", "constellation"), "spec", "rules").([]any) {
			r := rule.(map[string]any)
			host, _ := r["host"].(string)
			for _, path := range r["http"].(map[string]any)["paths"].([]any) {
				got = append(got, host+path.(map[string]any)["path"].(string))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s leads there by %v, want %s", overlay, got, want)
		}
	}
}

// TestImage: the image is the one that was pushed, by its digest where that is given.
func TestImage(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"bucket": "registry.example.com/constellation:0.2.0", "trial": "registry.example.com/constellation:0.2.0-abc",
		"shared-volume": "registry.example.com/constellation@sha256:" + strings.Repeat("a", 64),
	} {
		files, err := render(open(t), "constellation", valueSets(t)[set])
		if err != nil {
			t.Fatal(err)
		}
		if got := container(t, find(t, objects(t, files), "Deployment", "constellation"))["image"]; got != want {
			t.Errorf("%s runs %v, want %s", set, got, want)
		}
	}
}
