package launchtest

import (
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// Space is a namespace of its own on an API server.
type Space struct {
	*cluster.Cluster
	Admin      kubernetes.Interface
	Kubeconfig string

	OwnerPoll      time.Duration // of its rollouts
	ForceConflicts bool          // in its rollouts
}

// NewSpace makes a namespace on a server of a version.
func NewSpace(t *testing.T, version string) *Space {
	t.Helper()
	kubeconfig := Kubeconfig(t, version)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	made, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &Space{Cluster: Connect(t, kubeconfig, made.Name), Admin: admin, Kubeconfig: kubeconfig}
}

// Connect returns the cluster of a kubeconfig; nothing is retried.
func Connect(t *testing.T, kubeconfig, namespace string) *cluster.Cluster {
	t.Helper()
	cluster, err := cluster.Connect(t.Context(), kubeconfig, "", namespace, cluster.RetryPolicy{})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// EachServer runs a test against every version.
func EachServer(t *testing.T, f func(t *testing.T, s *Space)) {
	t.Parallel()
	for _, version := range ServerVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, NewSpace(t, version))
		})
	}
}

// Deploy rolls a launch out, whose Deployments all get ready.
func (s *Space) Deploy(t *testing.T, in render.Input) ([]apply.Change, error) {
	t.Helper()
	defer s.Controller(t)()
	return s.RolloutOf(t, in).Run(t.Context())
}

// RolloutOf is the rollout of a satellite, every Deployment of which gets ready.
func (s *Space) RolloutOf(t *testing.T, in render.Input) rollout.Rollout {
	t.Helper()
	in.Settings.Namespace, in.APIs = s.Namespace, s.APIs
	in = Hosted(in)
	return rollout.Rollout{Cluster: s.Cluster, Plan: in.Plan, Objects: Render(t, in), Wait: true, OwnerPoll: s.OwnerPoll, ForceConflicts: s.ForceConflicts,
		Observer: &Observer{OnReport: t.Logf, OnPhase: func(name string) { t.Log(name) }}}
}

// MustDeploy is Deploy that may not fail. It returns what was done to each
// object.
func (s *Space) MustDeploy(t *testing.T, in render.Input) map[string]apply.Action {
	t.Helper()
	changes, err := s.Deploy(t, in)
	if err != nil {
		t.Fatalf("Rollout: %v", err)
	}
	actions := map[string]apply.Action{}
	for _, c := range changes {
		actions[Stem(c.Object.String())] = c.Action
	}
	return actions
}

// Through returns the space as another kubeconfig and policy reach it.
func (s *Space) Through(t *testing.T, kubeconfig string, policy cluster.RetryPolicy) *Space {
	t.Helper()
	cluster, err := cluster.Connect(t.Context(), kubeconfig, "", s.Namespace, policy)
	if err != nil {
		t.Fatal(err)
	}
	copied := *s
	copied.Cluster = cluster
	return &copied
}

// As returns the kubeconfig of an account with the rights of a Role, or with
// none.
func (s *Space) As(t *testing.T, name string, role *rbacv1.Role) string {
	t.Helper()
	ctx := t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if role != nil {
		if _, err := s.Admin.RbacV1().Roles(s.Namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: role.Name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: s.Namespace}},
		}
		if _, err := s.Admin.RbacV1().RoleBindings(s.Namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	token, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
