package render_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// listed is a launch whose foo/bar, of all the network, and whose isolated
// Deep/Thought_1 have lists.
func listed(t *testing.T, first, second string) render.Input {
	t.Helper()
	in := launchtest.Input()
	in.Stable = true
	in.Settings.Egress = map[string][]egress.Entry{}
	for vanity, value := range map[string]string{"foo/bar": first, "Deep/Thought_1": second} {
		list, err := egress.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		in.Settings.Egress[vanity] = list
	}
	in.Settings.EgressNames = map[string]egress.Addresses{
		"api.example.com":  {All: []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("2606:2800::1")}},
		"away.example.com": {Problem: "this machine cannot look up away.example.com: no such host"},
	}
	return in
}

// TestEgressLists evaluates the rendered policies for what is outside of the
// cluster: a list opens what it has and nothing else, and never where clouds keep
// their metadata.
func TestEgressLists(t *testing.T) {
	t.Parallel()
	in := listed(t, "api.example.com:443,away.example.com:443,10.0.0.0/8:5432", "0.0.0.0/0:8443,[::/0]:*,192.0.2.7:514/udp")
	all, pods := readNetwork(t, launchtest.Render(t, in))
	var world []pod
	for _, at := range []string{"93.184.216.34", "2606:2800::1", "10.1.2.3", "192.0.2.7", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"} {
		world = append(world, pod{name: "[" + at + "]", outside: true, at: netip.MustParseAddr(at), ports: []int32{80, 443, 5432, 8443}})
	}
	var got []string
	for _, from := range pods {
		if !strings.HasPrefix(from.name, "algo-") {
			continue
		}
		for _, to := range append(world, pods...) {
			for _, port := range to.ports {
				if all.allow(t, from, to, port) {
					got = append(got, fmt.Sprintf("%s → %s:%d", from.name, to.name, port))
				}
			}
		}
	}
	slices.Sort(got)
	deep := render.AlgorithmName("Deep/Thought_1")
	want := []string{
		"algo-foo-bar → [93.184.216.34]:443", "algo-foo-bar → [2606:2800::1]:443", "algo-foo-bar → [10.1.2.3]:5432", "algo-foo-bar → execution-engine:8080",
		deep + " → [93.184.216.34]:8443", deep + " → [10.1.2.3]:8443", deep + " → [192.0.2.7]:8443", deep + " → execution-engine:8080",
		deep + " → [2606:2800::1]:80", deep + " → [2606:2800::1]:443", deep + " → [2606:2800::1]:5432", deep + " → [2606:2800::1]:8443",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what algorithms with lists may reach (-want +got):\n%s", diff)
	}
	if without := launchtest.Input().Egress(); without != nil {
		t.Errorf("without lists: %v", without)
	}
}

// Where a policy knows names, they are its own, with what asks for them; ranges
// stay where they are.
func TestEgressByName(t *testing.T) {
	t.Parallel()
	in := listed(t, "api.example.com:443,b.example.com:443,c.example.com:53/udp,10.0.0.0/8:5432", "10.0.0.0/8:5432")
	in.APIs.FQDNPolicy = render.FQDNPolicyAPI
	objects := launchtest.Render(t, in)
	policy := launchtest.Find(objects, "CiliumNetworkPolicy/algo-foo-bar")
	if policy == nil || launchtest.Find(objects, "CiliumNetworkPolicy/"+render.AlgorithmName("Deep/Thought_1")) != nil {
		t.Fatalf("policies that know names are made for those alone that have such: %v", policy)
	}
	if got, want := launchtest.At(policy, "spec.endpointSelector.matchLabels.app~kubernetes~io/name"), "algo-foo-bar"; got != want {
		t.Errorf("it selects %v, want %s", got, want)
	}
	var names []string
	for i := range 4 {
		names = append(names, fmt.Sprint(launchtest.At(policy, fmt.Sprintf("spec.egress.%d.toFQDNs.0.matchName", i)), launchtest.At(policy, fmt.Sprintf("spec.egress.%d.toPorts.0.ports.0", i))))
	}
	want := []string{"<nil> map[port:53 protocol:ANY]", "api.example.commap[port:443 protocol:TCP]", "b.example.commap[port:443 protocol:TCP]", "c.example.commap[port:53 protocol:UDP]"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names and ports (-want +got):\n%s", diff)
	}
	denied := fmt.Sprint(launchtest.At(policy, "spec.egressDeny.0"))
	if !strings.Contains(denied, "169.254.0.0/16") || !strings.Contains(denied, "fd00:ec2::254/128") || !strings.Contains(denied, "[map[ports:[map[port:443 protocol:TCP] map[port:53 protocol:UDP]]]]") {
		t.Errorf("denied is %s, want the metadata, on the ports that are opened", denied)
	}
	plain := launchtest.Find(objects, "NetworkPolicy/algo-foo-bar")
	if got := fmt.Sprint(launchtest.At(plain, "spec.egress")); strings.Contains(got, "93.184.216.34") || strings.Contains(got, "port:53 ") || !strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("the NetworkPolicy opens %s, want the range and neither names nor name servers", got)
	}
	wantTold(t, in, "CiliumNetworkPolicy")
}

// wantTold wants the launch, and its policies, to say what its algorithms reach.
func wantTold(t *testing.T, in render.Input, kind string) {
	t.Helper()
	objects := launchtest.Render(t, in)
	var told []string
	for _, line := range in.Egress() {
		told = append(told, line.String())
		policy := launchtest.Find(objects, "NetworkPolicy/"+render.AlgorithmName(line.VanityURL))
		read, ok := render.ReadEgress(line.VanityURL, policy.GetAnnotations()[render.AnnotationEgress])
		if diff := cmp.Diff(line, read); !ok || diff != "" {
			t.Errorf("what the policy says of itself (-want +got):\n%s", diff)
		}
	}
	if want := []string{
		"foo/bar reaches, by " + kind + ": api.example.com:443, b.example.com:443, c.example.com:53/udp, 10.0.0.0/8:5432",
		"Deep/Thought_1 reaches, by NetworkPolicy: 10.0.0.0/8:5432",
	}; !slices.Equal(told, want) {
		t.Errorf("Egress = %q, want %q", told, want)
	}
}

// Calico's rules are in the order of their list: metadata is denied before a name is
// allowed, one family a rule. Its policy is told from the NetworkPolicy beside it by
// whoever knows kinds and names alone, as older installers do.
func TestEgressByDomain(t *testing.T) {
	t.Parallel()
	in := listed(t, "api.example.com:443,b.example.com:443,c.example.com:53/udp,10.0.0.0/8:5432", "10.0.0.0/8:5432")
	in.APIs.FQDNPolicy = render.DomainPolicyAPI
	objects := launchtest.Render(t, in)
	policy := launchtest.Find(objects, "NetworkPolicy.projectcalico.org/default.algo-foo-bar")
	if policy == nil || policy.GetLabels()["app.kubernetes.io/name"] != "algo-foo-bar" {
		t.Fatalf("Calico's policy is %v", policy)
	}
	instance := policy.GetLabels()["app.kubernetes.io/instance"]
	if got, want := launchtest.At(policy, "spec.selector"), "app.kubernetes.io/instance == '"+instance+"' && app.kubernetes.io/name == 'algo-foo-bar'"; got != want {
		t.Errorf("it selects %v, want %s", got, want)
	}
	var rules []string
	for i := 0; launchtest.At(policy, fmt.Sprintf("spec.egress.%d", i)) != nil; i++ {
		at := func(field string) any { return launchtest.At(policy, fmt.Sprintf("spec.egress.%d.%s", i, field)) }
		nets := ""
		if all, ok := at("destination.nets").([]any); ok {
			nets = "4"
			if strings.Contains(fmt.Sprint(all), ":") {
				nets = "6"
			}
			for _, net := range all {
				if strings.Contains(net.(string), ":") != (nets == "6") {
					t.Errorf("a rule has addresses of both families: %v", all)
				}
			}
		}
		rules = append(rules, fmt.Sprint(at("action"), " ", at("protocol"), " ", nets, at("destination.domains"), at("destination.ports")))
	}
	want := []string{
		"Deny TCP 4<nil> [443]", "Deny TCP 6<nil> [443]", "Deny UDP 4<nil> [53]", "Deny UDP 6<nil> [53]",
		"Allow TCP [api.example.com] [443]", "Allow TCP [b.example.com] [443]", "Allow UDP [c.example.com] [53]",
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if nets := fmt.Sprint(launchtest.At(policy, "spec.egress.0.destination.nets")); !strings.Contains(nets, "169.254.0.0/16") {
		t.Errorf("denied is %s, want the metadata", nets)
	}
	plain := launchtest.Find(objects, "NetworkPolicy/algo-foo-bar")
	if got := fmt.Sprint(launchtest.At(plain, "spec.egress")); strings.Contains(got, "93.184.216.34") || !strings.Contains(got, "port:53 ") || !strings.Contains(got, "10.0.0.0/8") {
		t.Errorf("the NetworkPolicy opens %s, want name servers and the range, and no name", got)
	}
	seen := map[string]bool{}
	for _, o := range objects {
		if key := o.GetKind() + "/" + o.GetName(); seen[key] {
			t.Errorf("two objects are %s", key)
		} else {
			seen[key] = true
		}
	}
	wantTold(t, in, "NetworkPolicy.projectcalico.org")
}
