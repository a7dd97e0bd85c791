package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// enforcer does what a network plugin does with the NetworkPolicies of a namespace,
// which the dev cluster's own plugin leaves alone: what pods send each other and out of
// the cluster passes the node's FORWARD chain, where this writes what policies say. A
// rule that lets a connection through marks it, and what has no mark at the end is
// refused. What the node itself does is left alone, as by other plugins.
type enforcer struct {
	kube    *kubernetes.Clientset
	cluster int // a process of the node's network
	last    string
}

const allowed = "0x100000/0x100000"

// enforce enforces policies until the test is over.
func (j *journey) enforce(t *testing.T) {
	t.Helper()
	pid, err := clusterPID(filepath.Join(j.Dir, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	e := &enforcer{kube: j.kube, cluster: pid}
	if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.inside(t.Context(), "", "iptables", "-I", "FORWARD", "-j", "POLICY"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := e.sync(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("enforce the network policies: %v", err)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := e.inside(context.WithoutCancel(t.Context()), "", "iptables", "-D", "FORWARD", "-j", "POLICY"); err != nil {
			t.Error(err)
		}
	})
}

// inside runs a command in the node's network.
func (e *enforcer) inside(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(e.cluster), "--net", "--"}, args...)...) //nolint:gosec // of this test's cluster
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s\n%s", strings.Join(args, " "), err, out, input)
	}
	return nil
}

// sync writes the chains anew when policies or pods changed.
func (e *enforcer) sync(ctx context.Context) error {
	pods, err := e.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	policies, err := e.kube.NetworkingV1().NetworkPolicies(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods.Items = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.Status.PodIP == "" || p.Spec.HostNetwork })
	rules := chains(pods.Items, policies.Items)
	if rules == e.last {
		return nil
	}
	e.last = rules
	return e.inside(ctx, rules, "iptables-restore", "--noflush", "--wait")
}

// chains are the rules of policies as iptables-restore reads them.
func chains(pods []corev1.Pod, policies []networkingv1.NetworkPolicy) string {
	heads, rules := []string{":POLICY - [0:0]"}, []string{"-A POLICY -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"}
	chain := func(format string, args ...any) string {
		name := fmt.Sprintf(format, args...)
		heads = append(heads, ":"+name+" - [0:0]")
		return name
	}
	for n, pod := range pods {
		for _, way := range []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress} {
			mine, theirs := "-s", "-d"
			if way == networkingv1.PolicyTypeIngress {
				mine, theirs = "-d", "-s"
			}
			of := slices.DeleteFunc(slices.Clone(policies), func(p networkingv1.NetworkPolicy) bool {
				return !selects(&p.Spec.PodSelector, pod.Labels) || !slices.Contains(p.Spec.PolicyTypes, way)
			})
			if len(of) == 0 {
				continue
			}
			name := chain("POD-%d-%s", n, way)
			rules = append(rules, fmt.Sprintf("-A POLICY %s %s/32 -j %s", mine, pod.Status.PodIP, name), fmt.Sprintf("-A %s -j MARK --set-xmark 0x0/0x100000", name))
			for _, p := range of {
				for _, r := range rulesOf(p, way) {
					for _, port := range ports(r.Ports) {
						for _, from := range peers(pods, theirs, r.From) {
							to := "MARK --set-xmark " + allowed
							if len(from.except) > 0 {
								block := chain("BLOCK-%d", len(heads))
								for _, none := range from.except {
									rules = append(rules, fmt.Sprintf("-A %s %s %s -j RETURN", block, theirs, none))
								}
								rules = append(rules, fmt.Sprintf("-A %s -j %s", block, to))
								to = block
							}
							rules = append(rules, strings.Join(strings.Fields(fmt.Sprintf("-A %s %s %s -j %s", name, from.match, port, to)), " "))
						}
					}
				}
			}
			rules = append(rules, fmt.Sprintf("-A %s -m mark ! --mark %s -j REJECT --reject-with icmp-admin-prohibited", name, allowed))
		}
	}
	return "*filter\n" + strings.Join(append(heads, rules...), "\n") + "\nCOMMIT\n"
}

// rulesOf are a policy's rules of one way, both in the form of ingress.
func rulesOf(p networkingv1.NetworkPolicy, way networkingv1.PolicyType) []networkingv1.NetworkPolicyIngressRule {
	if way == networkingv1.PolicyTypeIngress {
		return p.Spec.Ingress
	}
	var rules []networkingv1.NetworkPolicyIngressRule
	for _, r := range p.Spec.Egress {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{Ports: r.Ports, From: r.To})
	}
	return rules
}

func ports(list []networkingv1.NetworkPolicyPort) []string {
	if len(list) == 0 {
		return []string{""}
	}
	var all []string
	for _, p := range list {
		match := "-p " + strings.ToLower(string(*p.Protocol))
		if p.Port != nil {
			match += " --dport " + strconv.Itoa(p.Port.IntValue())
		}
		all = append(all, match)
	}
	return all
}

// peer is where a connection may lead, or come from.
type peer struct {
	match  string
	except []string
}

func peers(pods []corev1.Pod, flag string, list []networkingv1.NetworkPolicyPeer) []peer {
	if len(list) == 0 {
		return []peer{{}}
	}
	var all []peer
	for _, p := range list {
		switch {
		case p.IPBlock != nil && netip.MustParsePrefix(p.IPBlock.CIDR).Addr().Is4():
			all = append(all, peer{flag + " " + p.IPBlock.CIDR, p.IPBlock.Except})
		case p.PodSelector != nil && p.NamespaceSelector == nil:
			for _, pod := range pods {
				if selects(p.PodSelector, pod.Labels) {
					all = append(all, peer{match: flag + " " + pod.Status.PodIP + "/32"})
				}
			}
		}
	}
	return all
}

func selects(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(of))
}

// podNetwork returns a process in the network of the pod that has an address.
func (j *journey) podNetwork(t *testing.T, address string) int {
	t.Helper()
	seen := map[string]bool{}
	pids, err := processes(filepath.Join(j.Dir, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || seen[space] {
			continue
		}
		seen[space] = true
		has := false
		err = within(pid, func() error {
			all, err := net.InterfaceAddrs()
			has = slices.ContainsFunc(all, func(a net.Addr) bool { return strings.HasPrefix(a.String(), address+"/") })
			return err
		})
		if err == nil && has {
			return pid
		}
	}
	t.Fatalf("no network of the cluster has the address %s", address)
	return 0
}

// within runs f in the network of a process, on a thread that ends with it.
func within(pid int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: nobody else may get this thread
		space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil {
			err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET) //nolint:gosec // a file's descriptor
			_ = space.Close()
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}
