package registry

import "testing"

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
		err := CheckPath(test.registry)
		if (err != nil) != (test.want == "") {
			t.Errorf("checkRegistryPath(%s) = %v", test.registry, err)
		} else if err == nil && Repository(test.registry, "neo", "hello") != test.want {
			t.Errorf("below(%s) = %s, want %s", test.registry, Repository(test.registry, "neo", "hello"), test.want)
		}
	}
	if got, want := createECR("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "neo/hello"), "aws ecr create-repository --region eu-west-1 --repository-name neo/hello"; got != want {
		t.Errorf("createECR = %s, want %s", got, want)
	}
}
