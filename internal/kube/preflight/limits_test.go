package preflight_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// resourceList reads "cpu=1 memory=1Gi".
func resourceList(text string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, part := range strings.Fields(text) {
		name, value, _ := strings.Cut(part, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(value)
	}
	return list
}

// admits makes every pod of a launch, as the controllers would, and gives the
// server's first refusal.
func admits(t *testing.T, s *launchtest.Space, in render.Input) error {
	t.Helper()
	in.Settings.Namespace, in.APIs = s.Namespace, s.APIs
	var refused error
	for _, o := range launchtest.Render(t, in) {
		if o.GetKind() != "Deployment" {
			continue
		}
		template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		for range n {
			var pod corev1.PodTemplateSpec
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
				t.Fatal(err)
			}
			pod.GenerateName = o.GetName() + "-"
			_, err := s.Admin.CoreV1().Pods(s.Namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}, metav1.CreateOptions{})
			if err != nil && refused == nil {
				refused = fmt.Errorf("a pod of %s: %w", o.GetName(), err)
			}
		}
	}
	return refused
}

// constrain gives the namespace a LimitRange and a quota, and the accounts that
// its pods run as.
func constrain(t *testing.T, s *launchtest.Space, limits []corev1.LimitRangeItem, quota *corev1.ResourceQuotaSpec) {
	t.Helper()
	ctx, ours := t.Context(), map[string]string{render.LabelLaunch: launchtest.Input().Plan.Launch.ID}
	for _, name := range []string{"default", render.EngineName} {
		if _, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: ours}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if limits != nil {
		made := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: limits}}
		if _, err := s.Admin.CoreV1().LimitRanges(s.Namespace).Create(ctx, made, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if quota == nil {
		return
	}
	made, err := s.Admin.CoreV1().ResourceQuotas(s.Namespace).Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "quota"}, Spec: *quota}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status.Hard, made.Status.Used = quota.Hard, corev1.ResourceList{} // there is no controller that does it
	for name := range quota.Hard {
		made.Status.Used[name] = resource.MustParse("0")
	}
	if _, err := s.Admin.CoreV1().ResourceQuotas(s.Namespace).UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

var setting = regexp.MustCompile(`stage\.resources\.(\S+)\.(cpu|cpu_limit|memory)=([^\s,;]+)`)

// follow does what a fix says to configure.
func follow(in *render.Input, fix string) {
	in.Settings.Resources = map[string]render.Resources{}
	for _, m := range setting.FindAllStringSubmatch(fix, -1) {
		r := in.Settings.Resources[m[1]]
		*map[string]*string{"cpu": &r.CPU, "cpu_limit": &r.CPULimit, "memory": &r.Memory}[m[2]] = m[3]
		in.Settings.Resources[m[1]] = r
	}
	in.Settings.Engine = in.Settings.Resources[render.EngineResources]
}

// The preflight says of LimitRanges and quotas what admission does, and what it
// advises to configure is admitted.
func TestPreflightComputesAdmission(t *testing.T) {
	limit := func(of corev1.LimitType, change func(*corev1.LimitRangeItem)) []corev1.LimitRangeItem {
		item := corev1.LimitRangeItem{Type: of}
		change(&item)
		return []corev1.LimitRangeItem{item}
	}
	quota := func(hard string, scopes ...corev1.ResourceQuotaScope) *corev1.ResourceQuotaSpec {
		return &corev1.ResourceQuotaSpec{Hard: resourceList(hard), Scopes: scopes}
	}
	byClass := func(operator corev1.ScopeSelectorOperator, values ...string) *corev1.ResourceQuotaSpec {
		return &corev1.ResourceQuotaSpec{Hard: resourceList("pods=1"), ScopeSelector: &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: operator, Values: values},
		}}}
	}
	container, pod := corev1.LimitTypeContainer, corev1.LimitTypePod
	tests := []struct {
		name   string
		limits []corev1.LimitRangeItem
		quota  *corev1.ResourceQuotaSpec
		check  string // that has a problem; "" is none
		want   string
		advice bool // settings that mend it are given
	}{
		{"a maximum of memory", limit(container, func(l *corev1.LimitRangeItem) { l.Max = resourceList("memory=512Mi") }), nil, "limits", "at most 512Mi", true},
		{"a maximum of processors, which is the default limit", limit(container, func(l *corev1.LimitRangeItem) { l.Max = resourceList("cpu=1") }), nil, "", "", false},
		{"a default limit below what is asked for", limit(container, func(l *corev1.LimitRangeItem) {
			l.Default, l.DefaultRequest = resourceList("cpu=50m"), resourceList("cpu=10m")
		}), nil, "limits", "the default limit is 50m", true},
		{"a minimum", limit(container, func(l *corev1.LimitRangeItem) { l.Min = resourceList("cpu=200m memory=100Mi") }), nil, "limits", "at least 200m", true},
		{"a ratio", limit(container, func(l *corev1.LimitRangeItem) { l.MaxLimitRequestRatio = resourceList("memory=2") }), nil, "limits", "2 times", true},
		{"a maximum of a pod", limit(pod, func(l *corev1.LimitRangeItem) { l.Max = resourceList("memory=300Mi cpu=2") }), nil, "limits", "at most", true},
		{"no value in between", limit(container, func(l *corev1.LimitRangeItem) { l.Min, l.Max = resourceList("memory=1Gi"), resourceList("memory=1Gi") }), nil, "limits", "at least 1Gi", true},
		{"a quota on CPU limits", nil, quota("limits.cpu=8"), "quota", "counts limits.cpu, and pods of foo/bar, Deep/Thought_1, engine set none", true},
		{"and defaults of them", limit(container, func(l *corev1.LimitRangeItem) { l.Default = resourceList("cpu=1") }), quota("limits.cpu=8"), "", "", false},
		{"a quota on memory", nil, quota("requests.memory=4Gi limits.memory=8Gi"), "quota", "pods of foo/bar set none", true},
		{"small quotas on memory", nil, quota("limits.memory=1Gi requests.memory=900Mi"), "quota", "pods of foo/bar set none", true},
		{"a quota on processors", nil, quota("cpu=300m"), "quota", "counts cpu", true},
		{"room enough", nil, quota("pods=5 requests.nvidia.com/gpu=1"), "", "", false},
		{"too few pods", nil, quota("pods=4"), "quota", "leaves 4 of pods and 5 more are needed", false},
		{"pods that say nothing", nil, quota("pods=1", corev1.ResourceQuotaScopeBestEffort), "quota", "leaves 1 of pods and 2 more are needed", false},
		{"pods that say something", nil, quota("pods=3", corev1.ResourceQuotaScopeNotBestEffort), "", "", false},
		{"pods with a deadline", nil, quota("pods=1", corev1.ResourceQuotaScopeTerminating), "", "", false},
		{"pods without", nil, quota("pods=4", corev1.ResourceQuotaScopeNotTerminating), "quota", "leaves 4 of pods", false},
		{"pods of a class", nil, byClass(corev1.ScopeSelectorOpIn, "high"), "", "", false},
		{"pods of any class", nil, byClass(corev1.ScopeSelectorOpExists), "", "", false},
		{"pods of no such class", nil, byClass(corev1.ScopeSelectorOpNotIn, "high"), "quota", "leaves 1 of pods", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, in := launchtest.NewSpace(t, "1.37.2"), launchtest.Input()
			constrain(t, s, test.limits, test.quota)
			var message, fix string
			for _, c := range preflight.Problems(launchtest.Preflight(t, s.Cluster, in)) {
				if c.Name == "limits" || c.Name == "quota" {
					message, fix = c.Name+": "+c.Message, c.Fix
				}
			}
			if !strings.HasPrefix(message, test.check) || !strings.Contains(message, test.want) || test.check == "" && message != "" {
				t.Errorf("preflight: %q; want %s with %q", message, test.check, test.want)
			}
			if test.advice {
				follow(&in, fix)
				if again := preflight.Problems(launchtest.Preflight(t, s.Cluster, in)); len(again) > 1 { // there is no ingress class
					t.Errorf("after %q: %+v", fix, again)
				}
			}
			if err := admits(t, s, in); (err != nil) != (test.check != "" && !test.advice) {
				t.Errorf("the server: %v, after the preflight's %q and %q", err, message, fix)
			}
		})
	}
}

// What the preflight refuses is refused by the server: the other half of the
// test above, for what has settings that mend it.
func TestAdmissionRefusesWhatThePreflightDoes(t *testing.T) {
	for name, constrain := range map[string]func(t *testing.T, s *launchtest.Space){
		"a maximum": func(t *testing.T, s *launchtest.Space) {
			constrain(t, s, []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: resourceList("memory=512Mi")}}, nil)
		},
		"a default": func(t *testing.T, s *launchtest.Space) {
			constrain(t, s, []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: resourceList("cpu=50m"), DefaultRequest: resourceList("cpu=10m")}}, nil)
		},
		"a quota": func(t *testing.T, s *launchtest.Space) {
			constrain(t, s, nil, &corev1.ResourceQuotaSpec{Hard: resourceList("limits.cpu=8")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := launchtest.NewSpace(t, "1.37.2")
			constrain(t, s)
			if err := admits(t, s, launchtest.Input()); err == nil {
				t.Error("the server admits every pod")
			}
		})
	}
}
