package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/stack"
)

// TestQueueOperated looks after the queue of a satellite in a real cluster, through
// the API server and a kubelet.
func TestQueueOperated(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"deploy with the queue in the engine", (*journey).deployOperated},
		{"with the rights that the guide prints", (*journey).asGuideRole},
		{"status", (*journey).queueTakesCalls},
		{"drain", (*journey).drainQueue},
		{"backup and restore", (*journey).backUpQueue},
	})
}

func (j *journey) deployOperated(t *testing.T) {
	var err error
	if j.hello, err = j.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	j.deployNew(t, "Operated", nil, []string{"stage.profile=edge", "stage.queue=on", "stage.queue.storage=ephemeral", "stage.queue.size=256Mi"},
		stack.Route{Vanity: "demo/hello", Algorithm: j.hello, Replicas: 1})
}

// asGuideRole has what follows done by an account with exactly those rights, and a
// deploy too.
func (j *journey) asGuideRole(t *testing.T) {
	ctx := t.Context()
	const name = "operator"
	role := launchtest.GuideRole(t, "../..", namespace)
	if _, err := j.kube.RbacV1().Roles(namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := j.kube.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: namespace}},
	}
	if _, err := j.kube.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := j.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(j.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for user := range config.AuthInfos {
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	file := filepath.Join(j.Dir, "operator.conf")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "configure", "stage.kubernetes.kubeconfig_path="+file)
	j.operate(t, "deploy")
}

func (j *journey) queueStatus(t *testing.T) operate.Status {
	t.Helper()
	var s operate.Status
	if out := j.operate(t, "queue", "status", "-o", "json"); json.Unmarshal([]byte(out), &s) != nil {
		t.Fatalf("queue status: %s", out)
	}
	return s
}

func (j *journey) queueTakesCalls(t *testing.T) {
	j.callUntil(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 200, `"async":"void"`)
	begun := time.Now()
	for s := j.queueStatus(t); s.State != operate.StateOK || s.Waiting+s.Running > 0; s = j.queueStatus(t) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("the call has not ended after two minutes: %+v", s)
		}
		time.Sleep(500 * time.Millisecond)
	}
	if out := j.operate(t, "queue", "dead", "list"); !strings.Contains(out, "no dead letters") {
		t.Errorf("dead list: %s", out)
	}
	if out := j.operate(t, "status"); !strings.Contains(out, "queue") {
		t.Errorf("status: %s", out)
	}
}

func (j *journey) drainQueue(t *testing.T) {
	j.operate(t, "queue", "drain")
	j.call(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 503, "takes no new asynchronous calls")
	j.call(t, j.key, "demo/hello", "text/plain", "Neo", 200, "Hello Neo")
	if s := j.queueStatus(t); !s.Draining {
		t.Errorf("status of a drained queue: %+v", s)
	}
	j.operate(t, "queue", "drain", "--off")
	j.call(t, j.key, "demo/hello?output=void", "text/plain", "Neo", 200, `"async":"void"`)
}

func (j *journey) backUpQueue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.backup")
	var s queue.Summary
	if out := j.operate(t, "queue", "backup", file, "-o", "json"); json.Unmarshal([]byte(out), &s) != nil || s.Results < 1 || s.LaunchID != j.launchID {
		t.Errorf("backup: %s", out)
	}
	if _, err := os.Stat(file + ".part"); !os.IsNotExist(err) {
		t.Errorf("a part of the backup is left: %v", err)
	}
	j.refused(t, 2, "is there already", j.satelliteID, j.launchID, "queue", "backup", file)
	j.refused(t, 2, "give --yes", j.satelliteID, j.launchID, "queue", "restore", file)
	var r queue.Restored
	if out := j.operate(t, "queue", "restore", file, "--yes", "-o", "json"); json.Unmarshal([]byte(out), &r) != nil || r.Added != 0 || r.Skipped != s.Items {
		t.Errorf("restore where all is there: %s; want nothing added of %d", out, s.Items)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	j.refused(t, 5, "not restored", j.satelliteID, j.launchID, "queue", "restore", file, "--yes")
}
