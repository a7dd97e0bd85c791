package chart

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// startAPIServer runs a real kube-apiserver with etcd until the test ends.
func startAPIServer(t *testing.T, version string) *rest.Config {
	t.Helper()
	program := os.Getenv("CONSTELLATION_APISERVER")
	if program == "" {
		t.Skip("needs CONSTELLATION_APISERVER, the path of the compiled deploy/devcluster: run make ways")
	}
	command := exec.Command(program, "apiserver", "--version", version, "--state", t.TempDir())
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := command.StdinPipe() // its end ends the program
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = command.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("start the API server: %v", err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// TestServerTakesIt: a real API server takes every object of every value set, with
// no field that it does not know and no warning, into a namespace that enforces the
// restricted Pod Security standard.
func TestServerTakesIt(t *testing.T) {
	t.Parallel()
	config := startAPIServer(t, "1.37.2")
	warned := &warnings{}
	config.WarningHandler = warned
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	defineMonitoring(t, config)
	space := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace, "labels": map[string]any{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
	}}}}
	if _, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), space, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	account := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default"}}} // there is no controller that makes it
	if _, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	tried := map[string]int{}
	for set, values := range valueSets(t) {
		files, err := render(open(t), "constellation", values)
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		for _, object := range objects(t, files) {
			for _, one := range append(pods(t, object), object) {
				if err := try(t.Context(), client, mapper, one); err != nil {
					t.Errorf("%s, %s %s: %v", set, one.GetKind(), one.GetName(), err)
				}
				tried[one.GetKind()]++
			}
		}
	}
	for _, kind := range []string{"Deployment", "Pod", "Service", "ServiceAccount", "PodDisruptionBudget", "Ingress", "NetworkPolicy", "StatefulSet", "PersistentVolumeClaim", "ServiceMonitor", "PrometheusRule"} {
		if tried[kind] == 0 {
			t.Errorf("no value set makes a %s", kind)
		}
	}
	for _, text := range warned.all {
		t.Errorf("the server warns: %s", text)
	}
}

// pods are those that a workload would make: the standard is enforced on them.
func pods(t *testing.T, o *unstructured.Unstructured) []*unstructured.Unstructured {
	template, ok := at(t, o, "spec", "template").(map[string]any)
	if !ok {
		return nil
	}
	pod := (&unstructured.Unstructured{Object: template}).DeepCopy()
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(o.GetName() + "-1")
	// The account and the class are not on this server, which has no controllers.
	unstructured.RemoveNestedField(pod.Object, "spec", "serviceAccountName")
	unstructured.RemoveNestedField(pod.Object, "spec", "priorityClassName")
	claims, _ := at(t, o, "spec", "volumeClaimTemplates").([]any)
	volumes, _ := at(t, pod, "spec", "volumes").([]any)
	for _, claim := range claims { // as a StatefulSet's controller adds them
		name := at(t, &unstructured.Unstructured{Object: claim.(map[string]any)}, "metadata", "name")
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": "a"}})
	}
	if err := unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes"); err != nil {
		t.Fatal(err)
	}
	return []*unstructured.Unstructured{pod}
}

// try applies an object on the server without effect.
func try(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, o *unstructured.Unstructured) error {
	kind := o.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	_, err = client.Resource(mapping.Resource).Namespace(namespace).Create(ctx, o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// defineMonitoring makes the kinds that the Prometheus operator brings.
func defineMonitoring(t *testing.T, config *rest.Config) {
	t.Helper()
	client, err := extensions.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for kind, plural := range map[string]string{"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"} {
		anything := true
		_, err := client.ApiextensionsV1().CustomResourceDefinitions().Create(t.Context(), &apiextensions.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: plural + ".monitoring.coreos.com"},
			Spec: apiextensions.CustomResourceDefinitionSpec{
				Group: "monitoring.coreos.com", Scope: apiextensions.NamespaceScoped,
				Names: apiextensions.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind},
				Versions: []apiextensions.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensions.CustomResourceValidation{
					OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &anything},
				}}},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		list, err := client.Discovery().ServerResourcesForGroupVersion("monitoring.coreos.com/v1")
		if err == nil && len(list.APIResources) == 2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the kinds are not served: %v", err)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// warnings keeps what a server warns of.
type warnings struct{ all []string }

// HandleWarningHeader is part of rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.all = append(w.all, text) }
