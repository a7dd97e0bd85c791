package registry

import (
	"fmt"
	"regexp"
	"strings"
)

// registryKind is a registry product whose repositories have rules of their
// own. It is known by the host's name, so that it is known offline.
type registryKind int

const (
	kindAny registryKind = iota // Harbor, distribution, zot, Nexus, Artifactory…: any depth
	kindECR
	kindACR
	kindGCR
	kindArtifactRegistry
	kindGitLab
	kindOpenShift
	kindQuay
	kindDockerHub
	kindHarbor
)

// pathRule is how a kind's repositories are named: least and most parts of
// stage.container_registry's path, and of a repository below the host; 0 most
// is any number.
type pathRule struct {
	name        string
	least, most int
	depth       int
	form        string // of stage.container_registry
}

var pathRules = map[registryKind]pathRule{
	kindGCR:              {"Google's gcr.io", 1, 0, 0, "HOST/PROJECT"},
	kindArtifactRegistry: {"Google's Artifact Registry", 2, 0, 0, "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY"},
	kindGitLab:           {"GitLab", 2, 0, 0, "HOST/GROUP/PROJECT"},
	kindOpenShift:        {"OpenShift", 1, 1, 2, "HOST/PROJECT"},
	kindQuay:             {"Quay", 1, 1, 2, "HOST/NAMESPACE"},
	kindDockerHub:        {"Docker Hub", 1, 1, 2, "docker.io/NAMESPACE"},
	kindHarbor:           {"Harbor", 1, 0, 0, "HOST/PROJECT"},
}

var ecrHost = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$`)

// kindOf returns a registry's kind by its host.
func kindOf(host string) registryKind {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	first, _, _ := strings.Cut(host, ".")
	switch {
	case ecrHost.MatchString(host):
		return kindECR
	case strings.HasSuffix(host, ".azurecr.io"), strings.HasSuffix(host, ".azurecr.cn"), strings.HasSuffix(host, ".azurecr.us"):
		return kindACR
	case host == "gcr.io", strings.HasSuffix(host, ".gcr.io"):
		return kindGCR
	case strings.HasSuffix(host, "-docker.pkg.dev"):
		return kindArtifactRegistry
	case strings.HasPrefix(first, "image-registry"), strings.HasPrefix(first, "default-route-openshift-image-registry"):
		return kindOpenShift
	case strings.Contains(host, "gitlab"):
		return kindGitLab
	case host == "quay.io", first == "quay":
		return kindQuay
	case host == "docker.io", host == "index.docker.io", host == "registry-1.docker.io":
		return kindDockerHub
	case first == "harbor":
		return kindHarbor
	}
	return kindAny
}

// CheckPath holds stage.container_registry to its registry's rules; the
// error reads on from the key.
func CheckPath(value string) error {
	host, path, _ := strings.Cut(value, "/")
	rule, ok := pathRules[kindOf(host)]
	if !ok {
		return nil
	}
	parts := 0
	if path != "" {
		parts = strings.Count(path, "/") + 1
	}
	if parts < rule.least || rule.most > 0 && parts > rule.most {
		return fmt.Errorf("is %s, as %s wants it; not %q", rule.form, rule.name, value)
	}
	return nil
}

// Repository returns the repository under a registry's address that has these parts. A
// registry whose repositories have a fixed depth gets them joined to one.
func Repository(address string, parts ...string) string {
	host, path, _ := strings.Cut(address, "/")
	have := strings.Count(path, "/") + 1
	if path == "" {
		have = 0
	}
	separator := "/"
	if rule := pathRules[kindOf(host)]; rule.depth > 0 && have+len(parts) > rule.depth {
		separator = "-"
	}
	return address + "/" + strings.Join(parts, separator)
}

// pathHint reminds of a registry's rules, "" when it has none.
func pathHint(host string) string {
	kind := kindOf(host)
	rule, ok := pathRules[kind]
	switch {
	case kind == kindOpenShift, kind == kindHarbor:
		return fmt.Sprintf("check that the project exists: %s makes none on a push", rule.name)
	case kind == kindGitLab, kind == kindArtifactRegistry:
		return fmt.Sprintf("check that stage.container_registry is %s and that it exists: %s makes none on a push", rule.form, rule.name)
	case ok:
		return fmt.Sprintf("check stage.container_registry: %s wants %s", rule.name, rule.form)
	}
	return ""
}

// createECR is the command that makes a repository, which ECR does not do on
// a push.
func createECR(host, repository string) string {
	region := "REGION"
	if match := ecrHost.FindStringSubmatch(strings.ToLower(host)); match != nil {
		region = match[1]
	}
	return "aws ecr create-repository --region " + region + " --repository-name " + repository
}
