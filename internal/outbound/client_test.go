package outbound

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// Metadata services are not asked, whatever name leads there.
func TestMetadataIsNotDialled(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false, "::ffff:169.254.169.254": false, "0.0.0.0": false,
		"10.1.2.3": true, "192.168.0.1": true, "127.0.0.1": true, "fd12::1": true, "93.184.216.34": true,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::5db8:d822": true, // by way of a gateway to IPv4
		"2002:a9fe:a9fe::1": false, "::a9fe:a9fe": false, "::": false, "::1": true,
	} {
		if err := mayDial("", netip.MustParseAddr(address).Unmap()); (err == nil) != ok {
			t.Errorf("mayDial(%s) = %v, want %v", address, err, ok)
		}
	}
	client, err := NewClient(ClientOptions{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("169.254.169.254")}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := get(t, client, "http://login.example.com/"); err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("a name that leads to metadata: %v, want it refused", err)
	}
}

func TestClientStaysAtItsHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	t.Cleanup(other.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ten", http.StatusFound) })
	mux.HandleFunc("/ten", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789") })
	mux.HandleFunc("/eleven", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789x") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := NewClient(ClientOptions{MaxAnswer: 10})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/away": "leads on to", "/round": "on and on", "/here": "", "/ten": "", "/eleven": "more than 10 bytes"} {
		err := get(t, client, server.URL+path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := NewClient(ClientOptions{CA: "nonsense"}); err == nil {
		t.Error("certificates that are no PEM are taken")
	}
}

func get(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}
