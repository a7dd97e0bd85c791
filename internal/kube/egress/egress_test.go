package egress_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/constellation-serving/constellation/internal/kube/egress"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"api.example.com:443":                               "api.example.com:443",
		" API.Example.com.:443/tcp , 10.1.2.3/8:5432":       "api.example.com:443,10.0.0.0/8:5432",
		"192.0.2.7:514/udp,192.0.2.7:514,192.0.2.7:514/tcp": "192.0.2.7:514/udp,192.0.2.7:514",
		"[2001:db8::1]:443,[2001:db8::/32]:*":               "[2001:db8::1]:443,[2001:db8::/32]:*",
		"0.0.0.0/0:443":                                     "0.0.0.0/0:443", // policies leave the metadata out
		"a-b.example:*/udp":                                 "a-b.example:*/udp",
	} {
		list, err := egress.Parse(value)
		if got := egress.Format(list); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", value, got, err, want)
		}
	}
	for value, want := range map[string]string{
		"":                               "is a list of HOST:PORT",
		"api.example.com":                "is a list of HOST:PORT",
		"https://a.example:443":          "is a list of HOST:PORT",
		"a.example:443,":                 "is a list of HOST:PORT",
		"a.example:0":                    `"0" is no port`,
		"a.example:65536":                `"65536" is no port`,
		"a.example:https":                `"https" is no port`,
		"2001:db8::1:443":                "IPv6 is in brackets",
		"[10.0.0.0/8]:443":               "no range of addresses",
		"10.0.0.0/33:443":                "no range of addresses",
		"[fe80::1%eth0]:443":             "no range of addresses",
		"[::ffff:10.0.0.0/104]:1":        "no range of addresses",
		"*.example.com:443":              "is a pattern",
		"under_score.example:1":          "no host's name",
		"1.2.3:443":                      "no host's name",
		"database:5432":                  "no whole name",
		"db.team.svc:5432":               "pods behind a Service",
		"db.team.svc.cluster.local:5432": "pods behind a Service",
		"127.0.0.1:80":                   "the pod's own",
		"[::1]:80":                       "the pod's own",
		"app.localhost:80":               "the pod's own",
		"169.254.169.254:80":             "clouds keep their metadata",
		"169.254.0.0/16:80":              "clouds keep their metadata",
		"[fd00:ec2::254]:80":             "clouds keep their metadata",
		"[64:ff9b::a9fe:a9fe]:80":        "clouds keep their metadata",
		"224.0.0.0/4:80":                 "of a group",
		strings.Repeat("a.example:1,", 32) + "a.example:2": "",
		many(33): "at most 32 entries; these are 33",
	} {
		list, err := egress.Parse(value)
		if want == "" {
			if err != nil || len(list) != 2 {
				t.Errorf("Parse(%.60q) = %v, %v; want each entry once", value, list, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%.60q) = %v, %v; want %q", value, list, err, want)
		}
	}
}

func many(n int) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf("a%d.example:1", i)
	}
	return strings.Join(entries, ",")
}

// nameServer is a name server of a few names, and what resolves by it alone.
func nameServer(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := answerOf(buffer[:n], names); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, conn.LocalAddr().String())
	}}
}

func answerOf(request []byte, names map[string][]string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(request); err != nil || len(m.Questions) != 1 {
		return nil
	}
	question := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	addresses, known := names[strings.TrimSuffix(question.Name.String(), ".")]
	if !known {
		answer.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range addresses {
		at := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 60}
		switch {
		case at.Is4() && question.Type == dnsmessage.TypeA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: at.As4()}})
		case at.Is6() && question.Type == dnsmessage.TypeAAAA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: at.As16()}})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// Every address of a name is found, and none that is never opened.
func TestResolve(t *testing.T) {
	t.Parallel()
	crowd := make([]string, 33)
	for i := range crowd {
		crowd[i] = fmt.Sprintf("192.0.2.%d", i+1)
	}
	resolver := nameServer(t, map[string][]string{
		"api.example.com":      {"93.184.216.35", "93.184.216.34", "2606:2800::1", "93.184.216.34"},
		"inner.example.com":    {"10.1.2.3"},
		"metadata.example.com": {"93.184.216.34", "169.254.169.254"},
		"mapped.example.com":   {"64:ff9b::a9fe:a9fe"},
		"own.example.com":      {"127.0.0.1"},
		"crowd.example.com":    crowd,
		"empty.example.com":    {},
	})
	lists := map[string][]egress.Entry{}
	for _, name := range []string{"api", "inner", "metadata", "mapped", "own", "crowd", "empty", "nonesuch"} {
		list, err := egress.Parse(name + ".example.com:443,10.0.0.0/8:1")
		if err != nil {
			t.Fatal(err)
		}
		lists["foo/"+name] = list
	}
	resolved := egress.Resolve(t.Context(), resolver, lists)
	if len(resolved) != len(lists) {
		t.Errorf("Resolve found %d names, want %d", len(resolved), len(lists))
	}
	for name, want := range map[string]string{"api": "[93.184.216.34 93.184.216.35 2606:2800::1]", "inner": "[10.1.2.3]"} {
		if got := resolved[name+".example.com"]; fmt.Sprint(got.All) != want || got.Problem != "" {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"metadata": "metadata.example.com has the address 169.254.169.254, which is never opened",
		"mapped":   "mapped.example.com has the address 64:ff9b::a9fe:a9fe, which is never opened",
		"own":      "own.example.com has the address 127.0.0.1, which is never opened",
		"crowd":    "crowd.example.com has 33 addresses, and a name is opened for 32 at most",
		"empty":    "this machine cannot look up empty.example.com: ",
		"nonesuch": "this machine cannot look up nonesuch.example.com: no such host",
	} {
		if got := resolved[name+".example.com"]; !strings.HasPrefix(got.Problem, want) || len(got.All) > 0 || strings.Contains(got.Problem, "\n") {
			t.Errorf("%s: %+v, want the problem %q", name, got, want)
		}
	}
	if got, want := egress.Tell(lists["foo/api"], resolved), []string{"api.example.com:443 at 93.184.216.34 93.184.216.35 2606:2800::1", "10.0.0.0/8:1"}; !slices.Equal(got, want) {
		t.Errorf("Tell = %q, want %q", got, want)
	}
}
