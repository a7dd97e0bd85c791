package kube_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/constellation-serving/constellation/internal/kube"
)

// serverVersions are the API servers that the tests run against (issue 2).
var serverVersions = []string{"1.32.2", "1.37.2"}

// apiServer is a real kube-apiserver with etcd, for as long as the tests run.
type apiServer struct {
	start      sync.Once
	err        error
	kubeconfig string
	stdin      io.Closer
	done       *exec.Cmd
}

var servers = map[string]*apiServer{"1.32.2": {}, "1.37.2": {}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range servers {
		if s.done != nil {
			_ = s.stdin.Close()
			_ = s.done.Wait()
		}
	}
	os.Exit(code)
}

// server gives the kubeconfig of an admin of a running API server.
func server(t *testing.T, version string) string {
	t.Helper()
	program := os.Getenv("CONSTELLATION_APISERVER")
	if program == "" {
		t.Skip("needs CONSTELLATION_APISERVER, the path of the compiled deploy/devcluster; 'make test' sets it")
	}
	s := servers[version]
	s.start.Do(func() { s.err = s.run(program, version) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.kubeconfig
}

func (s *apiServer) run(program, version string) error {
	dir, err := os.MkdirTemp("", "constellation-apiserver-")
	if err != nil {
		return err
	}
	command := exec.Command(program, "apiserver", "--version", version, "--state", dir)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if s.stdin, err = command.StdinPipe(); err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.done = command
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start the API server %s: %w", version, err)
	}
	s.kubeconfig = strings.TrimSpace(line)
	return nil
}

// space is a namespace of its own on an API server.
type space struct {
	*kube.Cluster
	admin      kubernetes.Interface
	kubeconfig string
	namespace  string
}

func newSpace(t *testing.T, version string) *space {
	t.Helper()
	kubeconfig := server(t, version)
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
	return &space{Cluster: connect(t, kubeconfig, made.Name), admin: admin, kubeconfig: kubeconfig, namespace: made.Name}
}

func connect(t *testing.T, kubeconfig, namespace string) *kube.Cluster {
	t.Helper()
	cluster, err := kube.Connect(t.Context(), kubeconfig, "", namespace, kube.Patience{})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// eachServer runs a test against every version.
func eachServer(t *testing.T, f func(t *testing.T, s *space)) {
	t.Parallel()
	for _, version := range serverVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, newSpace(t, version))
		})
	}
}

func (s *space) rollout(t *testing.T, in kube.Input) ([]kube.Change, error) {
	t.Helper()
	defer s.controller(t)()
	return s.Rollout(t.Context(), s.of(t, in))
}

// of is the rollout of a satellite, every Deployment of which gets ready.
func (s *space) of(t *testing.T, in kube.Input) kube.Rollout {
	t.Helper()
	in.Settings.Namespace, in.APIs = s.namespace, s.APIs
	return kube.Rollout{Plan: in.Plan, Objects: render(t, in), Wait: true, Report: t.Logf, Phase: func(name string) { t.Log(name) }}
}

func (s *space) mustRollout(t *testing.T, in kube.Input) map[string]kube.Action {
	t.Helper()
	changes, err := s.rollout(t, in)
	if err != nil {
		t.Fatalf("Rollout: %v", err)
	}
	actions := map[string]kube.Action{}
	for _, c := range changes {
		actions[stem(c.Object.String())] = c.Action
	}
	return actions
}

// The documents in testdata are taken from the releases' sources, since old
// servers do not compile any more; where one does, it answers the same.
func TestDiscoveryIsWhatServersServe(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		groups, err := s.admin.Discovery().ServerGroups()
		if err != nil {
			t.Fatal(err)
		}
		minor := strings.Join(strings.Split(path.Base(t.Name()), ".")[:2], ".")
		file := readDiscovered(t, minor)
		if diff := cmp.Diff(groupVersions(groups), groupVersions(&file.APIs)); diff != "" {
			t.Errorf("testdata/%s.json is not what the server answers (-server +file):\n%s", minor, diff)
		}
	})
}

// groupVersions gives every GROUP/VERSION but the core's, in order.
func groupVersions(list *metav1.APIGroupList) []string {
	var all []string
	for _, g := range list.Groups {
		for _, v := range g.Versions {
			if g.Name != "" {
				all = append(all, v.GroupVersion)
			}
		}
	}
	slices.Sort(all)
	return all
}

func TestRolloutCreatesKeepsChangesAndPrunes(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		for object, action := range s.mustRollout(t, in) {
			if action != kube.Created {
				t.Errorf("first rollout: %s %s, want created", object, action)
			}
		}
		before := s.resourceVersions(t)
		for object, action := range s.mustRollout(t, in) {
			if action != kube.Unchanged {
				t.Errorf("second rollout: %s %s, want unchanged", object, action)
			}
		}
		if after := s.resourceVersions(t); before != after {
			t.Errorf("a rollout with nothing to change wrote: %s, then %s", before, after)
		}
		theirs := s.foreign(t)
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		actions := s.mustRollout(t, in)
		for _, object := range []string{"Deployment/algo-foo-bar", "Service/algo-foo-bar", "NetworkPolicy/algo-foo-bar"} {
			if actions[object] != kube.Deleted {
				t.Errorf("third rollout: %s %q, want deleted", object, actions[object])
			}
		}
		if name := s.deployment(t, "algo-foo-bar"); name != "" {
			t.Errorf("Deployment %s is still there", name)
		}
		if _, err := s.admin.CoreV1().ConfigMaps(s.namespace).Get(t.Context(), theirs, metav1.GetOptions{}); err != nil {
			t.Errorf("someone else's ConfigMap: %v", err)
		}
		inventory, err := s.Inventory(t.Context())
		if err != nil || inventory.Installed != 2 || inventory.Wanted != 2 {
			t.Errorf("Inventory = %+v, %v; want version 2 installed", inventory, err)
		}
	})
}

// resourceVersions changes with every write to the launch's objects.
func (s *space) resourceVersions(t *testing.T) string {
	t.Helper()
	deployments, err := s.admin.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	maps, err := s.admin.CoreV1().ConfigMaps(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := s.admin.CoreV1().Secrets(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, o := range deployments.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	for _, o := range maps.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	for _, o := range secrets.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	return strings.Join(versions, " ")
}

// deployment gives the name, with its revision, of an algorithm's Deployment
// and Service; "" when there is none.
func (s *space) deployment(t *testing.T, name string) string {
	t.Helper()
	list, err := s.admin.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		if stem("/"+d.Name) == "/"+name {
			return d.Name
		}
	}
	return ""
}

func (s *space) foreign(t *testing.T) string {
	t.Helper()
	made, err := s.admin.CoreV1().ConfigMaps(s.namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Name
}

// Objects of the inventory that were taken over by someone else stay.
func TestPruneLeavesWhatLostTheLabel(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		s.mustRollout(t, in)
		patch, service := []byte(`{"metadata":{"labels":{"constellation/launch":null}}}`), s.deployment(t, "algo-foo-bar")
		if _, err := s.admin.CoreV1().Services(s.namespace).Patch(t.Context(), service, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		s.mustRollout(t, in)
		if _, err := s.admin.CoreV1().Services(s.namespace).Get(t.Context(), service, metav1.GetOptions{}); err != nil {
			t.Errorf("Service algo-foo-bar: %v, want it left alone", err)
		}
	})
}

func TestRolloutReportsConflicts(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		s.mustRollout(t, in)
		patch := []byte(`{"spec":{"replicas":7}}`)
		if _, err := s.admin.AppsV1().Deployments(s.namespace).Patch(t.Context(), kube.EngineName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "someone"}); err != nil {
			t.Fatal(err)
		}
		_, err := s.rollout(t, in)
		if err == nil || !strings.Contains(err.Error(), "Deployment/execution-engine") || !strings.Contains(err.Error(), "someone") || !strings.Contains(err.Error(), ".spec.replicas") {
			t.Fatalf("Rollout = %v, want the object, the field and who set it", err)
		}
		s.ForceConflicts = true
		if actions := s.mustRollout(t, in); actions["Deployment/execution-engine"] != kube.Changed {
			t.Errorf("forced rollout: %v", actions)
		}
	})
}

// One object that the server refuses leaves everything as it was.
func TestRolloutChangesNothingWhenOneObjectIsRefused(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		in.Settings.Ingress.Host = "Not A Host"
		_, err := s.rollout(t, in)
		if err == nil || !strings.Contains(err.Error(), "Ingress/execution-engine") {
			t.Fatalf("Rollout = %v, want the Ingress refused", err)
		}
		list, err := s.admin.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("%d deployments were made, %v", len(list.Items), err)
		}
	})
}

// There are no controllers on a bare API server: the test is them.
func TestRolloutWaitsBeforeTheRoutesChange(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		s.mustRollout(t, in)
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		in.Plan.Algorithms[0].Image.Digest = digest("a") // a new one
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r := s.of(t, in)
		_, err := s.Rollout(ctx, r)
		var late *kube.NotReadyError
		if !errors.As(err, &late) || !strings.Contains(err.Error(), "keeps serving") {
			t.Fatalf("Rollout = %v, want not ready and the old version serving", err)
		}
		if routes := s.routes(t); !strings.Contains(routes, "foo/bar") {
			t.Error("the routes changed before the algorithms were ready")
		}
		if s.deployment(t, "algo-foo-bar") == "" {
			t.Error("the old version's deployment is gone")
		}
		stop := s.controller(t)
		defer stop()
		if _, err := s.Rollout(t.Context(), r); err != nil {
			t.Fatalf("Rollout again: %v", err)
		}
		if routes := s.routes(t); strings.Contains(routes, "foo/bar") {
			t.Error("the routes still have what version 2 dropped")
		}
	})
}

func (s *space) routes(t *testing.T) string {
	t.Helper()
	m, err := s.admin.CoreV1().ConfigMaps(s.namespace).Get(t.Context(), kube.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Data["routes.json"]
}

// controller makes every Deployment of the namespace ready until it is told
// to stop, as the real one does once pods are.
func (s *space) controller(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			s.makeReady(ctx)
			<-ticker.C
		}
	})
	return func() { cancel(); group.Wait() }
}

func (s *space) makeReady(ctx context.Context) {
	list, err := s.admin.AppsV1().Deployments(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, d := range list.Items {
		n := *d.Spec.Replicas
		status, _ := json.Marshal(map[string]any{"status": map[string]any{
			"observedGeneration": d.Generation, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n,
			"conditions": []map[string]string{
				{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
				{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
			},
		}})
		_, _ = s.admin.AppsV1().Deployments(s.namespace).Patch(ctx, d.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status")
	}
}

func preflight(t *testing.T, cluster *kube.Cluster, in kube.Input) []kube.Check {
	t.Helper()
	in.Settings.Namespace, in.APIs = cluster.Namespace, cluster.APIs
	return cluster.Preflight(t.Context(), in)
}

// problem gives the message and fix of a named problem, "" when there is none.
func problem(checks []kube.Check, name string) string {
	i := slices.IndexFunc(checks, func(c kube.Check) bool { return c.Name == name && c.State == kube.Problem })
	if i < 0 {
		return ""
	}
	return checks[i].Message + "\n" + checks[i].Fix
}

func TestPreflight(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		if got := problem(preflight(t, s.Cluster, in), "ingress"); !strings.Contains(got, "no ingress controller") {
			t.Errorf("without IngressClass: %q", got)
		}
		class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/test"}}
		if _, err := s.admin.NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = s.admin.NetworkingV1().IngressClasses().Delete(context.WithoutCancel(t.Context()), class.Name, metav1.DeleteOptions{})
		})
		in.Settings.Ingress.Class = "nonesuch"
		if got := problem(preflight(t, s.Cluster, in), "ingress"); !strings.Contains(got, `no ingress class "nonesuch"`) || !strings.Contains(got, class.Name) {
			t.Errorf("wrong IngressClass: %q", got)
		}
		in.Settings.Ingress.Class = class.Name
		if problems := kube.Problems(preflight(t, s.Cluster, in)); len(problems) != 0 {
			t.Errorf("problems of a good cluster: %+v", problems)
		}
		s.mustRollout(t, in)
		if problems := kube.Problems(preflight(t, s.Cluster, in)); len(problems) != 0 {
			t.Errorf("problems of a second deploy: %+v", problems)
		}
		other := in
		plan := *in.Plan
		plan.Launch.ID = "11111111-2222-4333-8444-555555555555"
		other.Plan = &plan
		if got := problem(preflight(t, s.Cluster, other), "other objects"); !strings.Contains(got, "holds another launch, "+in.Plan.Launch.ID) {
			t.Errorf("another launch in the namespace: %q", got)
		}
		cluster := connect(t, s.kubeconfig, "nonesuch")
		if got := problem(preflight(t, cluster, in), "namespace"); !strings.Contains(got, "kubectl create namespace nonesuch") {
			t.Errorf("a namespace that is not there: %q", got)
		}
	})
}

func TestPreflightFindsObjectsOfOthers(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		_, err := s.admin.CoreV1().Services(s.namespace).Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: kube.EngineName}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := problem(preflight(t, s.Cluster, testInput()), "other objects"); !strings.Contains(got, "Service/execution-engine") {
			t.Errorf("an object of our name: %q", got)
		}
	})
}

func TestPreflightWithoutRights(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		kubeconfig := s.powerless(t)
		checks := preflight(t, connect(t, kubeconfig, s.namespace), testInput())
		got := problem(checks, "permissions")
		for _, want := range []string{"get, create, patch, delete configmaps", "get pods/log", "list, patch pods", "patch, delete deployments.apps", "kind: Role", "endpointslices"} {
			if !strings.Contains(got, want) {
				t.Errorf("permissions: %q does not say %q", got, want)
			}
		}
	})
}

// powerless gives the kubeconfig of an account with no rights.
func (s *space) powerless(t *testing.T) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "powerless"}}
	if _, err := s.admin.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := s.admin.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
