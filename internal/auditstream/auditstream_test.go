package auditstream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/auditstream"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/waittest"
	"github.com/constellation-serving/constellation/internal/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func records() []constellation.AuditRecord {
	at := time.Date(2026, 11, 30, 1, 2, 3, 4000, time.UTC)
	event := constellation.Event{ID: 7, At: at, Actor: "neo", Action: "satellite.create", TargetKind: "satellite", TargetID: "x", TargetName: "One\n<14>1 two", After: []byte(`{"name":"One"}`)}
	link := constellation.AuditLink{}.Next(&event)
	return []constellation.AuditRecord{{Seq: link.Seq, Hash: link.Hash, Event: event}}
}

// A receiver verifies the signature, and gets the same id when a message comes again.
func TestWebhook(t *testing.T) {
	t.Parallel()
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	status, ids := http.StatusInternalServerError, []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("webhook-id")
		unix, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
		if want := webhook.Sign(key, id, time.Unix(unix, 0), body); r.Header.Get("webhook-signature") != want || time.Since(time.Unix(unix, 0)) > time.Minute {
			t.Errorf("signature %s of %s at %d, want %s", r.Header.Get("webhook-signature"), id, unix, want)
		}
		var message struct {
			Type string
			Data struct{ Records []auditstream.Record }
		}
		if err := json.Unmarshal(body, &message); err != nil || message.Type != "audit.recorded" || len(message.Data.Records) != 1 || message.Data.Records[0].Actor != "neo" || len(message.Data.Records[0].Hash) != 64 {
			t.Errorf("the message is %s, %v", body, err)
		}
		ids = append(ids, id)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	stream, err := auditstream.NewWebhook(server.URL+"/hook?token=hidden", secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []int{500, 302, 200} {
		err := stream.Send(t.Context(), records())
		if (err == nil) != (status == 200) || err != nil && (strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), strconv.Itoa(status))) {
			t.Errorf("a receiver that answers %d: %v", status, err)
		}
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[0] != ids[2] {
		t.Errorf("ids %q, want the same three times", ids)
	}
	server.Close()
	if err := stream.Send(t.Context(), records()); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a receiver that is away: %v", err)
	}
	for _, target := range []string{"http://169.254.169.254/latest", "http://[fd00:ec2::254]/"} {
		stream, err := auditstream.NewWebhook(target, secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(t.Context(), records()); err == nil || !strings.Contains(err.Error(), "no receiver") {
			t.Errorf("%s: %v, want it refused", target, err)
		}
	}
	for _, target := range []string{"", "ftp://a.example/", "https://neo:pass@a.example/", "https:///x"} {
		if _, err := auditstream.NewWebhook(target, secret); err == nil || strings.Contains(err.Error(), "pass@") {
			t.Errorf("NewWebhook(%q): %v", target, err)
		}
	}
}

// A server reads messages by their lengths, and no record can look like another's.
func TestSyslog(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = listener.Close(), packets.Close() })
	got := make(chan string, 2)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close() //nolint:errcheck // of a test
		reader := bufio.NewReader(connection)
		length, _ := reader.ReadString(' ')
		n, _ := strconv.Atoi(strings.TrimSpace(length))
		message := make([]byte, n)
		_, _ = io.ReadFull(reader, message)
		rest, _ := io.ReadAll(reader)
		got <- string(message) + string(rest)
	}()
	go func() {
		buffer := make([]byte, 64<<10)
		n, _, _ := packets.ReadFrom(buffer)
		got <- string(buffer[:n])
	}()
	large := records()
	large[0].Before = []byte(`"` + strings.Repeat("x", 32<<10) + `"`)
	for target, list := range map[string][]constellation.AuditRecord{"tcp://" + listener.Addr().String(): records(), "udp://" + packets.LocalAddr().String(): large} {
		stream, err := auditstream.NewSyslog(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(t.Context(), list); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		message := waittest.Receive(t, "a message", got)
		head, body, _ := strings.Cut(message, " audit - ")
		var record auditstream.Record
		if err := json.Unmarshal([]byte(body), &record); err != nil || strings.Contains(message, "\n") || len(message) > 8<<10 {
			t.Fatalf("%s got %.300q, %v", target, message, err)
		}
		if diff := cmp.Diff([]string{"<110>1", "2026-11-30T01:02:03.000004Z"}, strings.Fields(head)[:2]); diff != "" || record.TargetName != "One\n<14>1 two" || record.Before != nil {
			t.Errorf("%s got %.300q (-want +got):\n%s", target, message, diff)
		}
	}
	gone, err := auditstream.NewSyslog("tcp://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := gone.Send(context.Background(), records()); err == nil {
		t.Error("a server that is away takes records")
	}
	for _, target := range []string{"", "10.0.0.1:514", "udp://10.0.0.1", "http://a.example:1", "tls://a.example:6514/x"} {
		if _, err := auditstream.NewSyslog(target); err == nil {
			t.Errorf("NewSyslog(%q) is no error", target)
		}
	}
}
