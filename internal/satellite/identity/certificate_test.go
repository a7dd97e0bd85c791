package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
)

func parse(t *testing.T, data []byte) []*x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("no PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{certificate}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := identitytest.NewAuthority(t, "ours"), identitytest.NewAuthority(t, "theirs")
	dir, clock := t.TempDir(), newClock()
	path := filepath.Join(dir, config.ClientCAFile)
	if err := os.WriteFile(path, ours.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, filepath.Join(dir, "kept"), clock, config.Auth{ClientCA: &config.ClientCA{File: config.ClientCAFile, Rules: []config.ClientRule{
		{Name: "*.lab.example", Algorithms: []string{"lab/*"}},
		{Name: "spiffe://corp/ns/x", Algorithms: []string{"*"}},
		{Name: "robot", Algorithms: []string{"foo/bar"}},
		{Name: "a.lab.example", Algorithms: []string{"foo/bar"}},
	}}})
	now := clock.now()
	named := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: name} }
	}
	for _, test := range []struct {
		name   string
		by     *identitytest.Authority
		change func(*x509.Certificate)
		names  []string
		may    string // of what is let in
		want   string // of what is not
	}{
		{"a domain's", ours, nil, []string{"b.lab.example"}, "lab/x", ""},
		{"two rules'", ours, nil, []string{"a.lab.example"}, "foo/bar lab/x", ""},
		{"a name further down", ours, nil, []string{"a.b.lab.example"}, "", ""},
		{"another name", ours, nil, []string{"elsewhere.example"}, "", ""},
		{"a URI", ours, func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "corp", Path: "/ns/x"}} }, nil, "foo/bar lab/x", ""},
		{"a common name alone", ours, named("robot"), nil, "foo/bar", ""},
		{"a common name beside others", ours, named("robot"), []string{"elsewhere.example"}, "", ""},
		{"no name", ours, nil, nil, "", "has no name"},
		{"another authority's", theirs, nil, []string{"a.lab.example"}, "", "not of an authority"},
		{"for servers alone", ours, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, []string{"a.lab.example"}, "", "not for clients"},
		{"expired", ours, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, []string{"a.lab.example"}, "", "expired"},
		{"not valid yet", ours, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }, []string{"a.lab.example"}, "", "not valid yet"},
	} {
		data, _ := test.by.Issue(t, test.change, test.names...)
		who, err := f.Certificate(parse(t, data), now)
		if refusal, _ := errors.AsType[*Refusal](err); test.want != "" {
			if refusal == nil || !strings.Contains(refusal.Message, test.want) {
				t.Errorf("%s: %v, want …%s…", test.name, err, test.want)
			}
			continue
		}
		if err != nil || !keyring.IsIdentity(who.ID) || !f.IsOf(who.ID) {
			t.Errorf("%s: %+v, %v, want it let in", test.name, who, err)
			continue
		}
		var may []string
		for _, vanity := range []string{"foo/bar", "lab/x"} {
			if who.May(vanity) {
				may = append(may, vanity)
			}
		}
		if got := strings.Join(may, " "); got != test.may {
			t.Errorf("%s may call %q, want %q", test.name, got, test.may)
		}
	}
	if _, err := f.Certificate(nil, now); err == nil || err.Error() != "authorization required" {
		t.Errorf("no certificate: %v", err)
	}
}

// What holds for a certificate is decided at each call: a connection may last.
func TestCertificatesAreJudgedAtEachCall(t *testing.T) {
	t.Parallel()
	ours, next := identitytest.NewAuthority(t, "ours"), identitytest.NewAuthority(t, "next")
	dir, clock := t.TempDir(), newClock()
	path := filepath.Join(dir, config.ClientCAFile)
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := start(t, filepath.Join(dir, "kept"), clock, config.Auth{ClientCA: &config.ClientCA{File: config.ClientCAFile}})
	data, _ := ours.Issue(t, nil, "a.example")
	chain := parse(t, data)
	check := func(what, want string) {
		t.Helper()
		_, err := f.Certificate(chain, clock.now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	check("before the authorities are there", "not known to this satellite")
	write(ours.PEM)
	f.look()
	check("with its authority", "")
	write([]byte("nonsense"))
	f.look()
	f.look()
	check("with a file that was broken since", "")
	if n := strings.Count(f.log.String(), "holds no certificate"); n != 1 {
		t.Errorf("the broken file is logged %d times, want once:\n%s", n, f.log)
	}
	write(next.PEM)
	f.look()
	check("with another authority", "not of an authority")
	write(append(append([]byte{}, next.PEM...), ours.PEM...))
	f.look()
	check("with both", "")
	clock.advance(25 * time.Hour)
	check("a day later", "expired")
}
