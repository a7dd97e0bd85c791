package registry

import (
	"slices"
	"testing"
)

func TestSchemes(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	both, tls := []string{"https", "http"}, []string{"https"}
	for _, test := range []struct {
		host     string
		insecure *bool
		want     []string
	}{
		{"127.0.0.1:5000", nil, both}, {"localhost:5000", nil, both}, {"[::1]:5000", nil, both},
		{"127.0.0.1:5000", &no, tls}, {"localhost:5000", &no, tls},
		// Names and addresses that are private, and not of this machine.
		{"10.0.0.7:5000", nil, tls}, {"192.168.1.2", nil, tls}, {"172.16.0.1:80", nil, tls}, {"registry.local", nil, tls}, {"registry.example.com", nil, tls},
		{"10.0.0.7:5000", &yes, both}, {"registry.example.com", &yes, both}, {"registry.example.com", &no, tls},
	} {
		r, err := Open(Config{Address: test.host + "/team", Insecure: test.insecure})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.schemes(); !slices.Equal(got, test.want) {
			t.Errorf("%s, insecure %v: %q, want %q", test.host, test.insecure, got, test.want)
		}
	}
}
