package launchtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// GuideRole returns the Role that the guide prints, for a namespace. root is that of
// the source tree.
func GuideRole(t *testing.T, root, namespace string) *rbacv1.Role {
	t.Helper()
	guide, err := os.ReadFile(filepath.Join(root, "web", "docs", "guide", "03-deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(guide), "```") {
		if i%2 == 0 || !strings.Contains(block, "kind: Role\n") {
			continue
		}
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(block, "NAMESPACE", namespace)), &role); err != nil {
			t.Fatal(err)
		}
		return &role
	}
	t.Fatal("the guide prints no Role")
	return nil
}
