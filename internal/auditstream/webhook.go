package auditstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/webhook"
)

// Webhook posts records to a URL. Who configures the server names it, so private
// addresses are fine; those of metadata are no receiver's.
type Webhook struct {
	url    string
	key    []byte
	client *http.Client
}

const sendTimeout = 15 * time.Second

// NewWebhook makes a stream to an http or https URL, signed with a secret as
// webhook.ParseSecret reads it.
func NewWebhook(target, secret string) (*Webhook, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("the URL is https://HOST/PATH, or http:// in a network of one's own, without a user and password")
	}
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("the secret is of no use: %w", err)
	}
	dialer := &outbound.Dialer{Check: notMetadata}
	return &Webhook{url: target, key: key, client: &http.Client{
		Timeout:   sendTimeout,
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConns: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the signature is for the one who was named
		},
	}}, nil
}

func notMetadata(host string, at netip.Addr) error {
	if outbound.Metadata(at) || outbound.NoHost(at) {
		return fmt.Errorf("%s has the address %s, at which no receiver is", host, at)
	}
	return nil
}

// Send posts records in one message, whose webhook-id is the same when they are sent
// again.
func (w *Webhook) Send(ctx context.Context, records []constellation.AuditRecord) error {
	list := make([]Record, len(records))
	for i := range records {
		list[i] = recordOf(&records[i])
	}
	last := list[len(list)-1]
	body, err := json.Marshal(map[string]any{"type": "audit.recorded", "timestamp": last.At, "data": map[string]any{"records": list}})
	if err != nil {
		return fmt.Errorf("write records %d to %d: %w", list[0].Seq, last.Seq, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	now, id := time.Now(), fmt.Sprintf("audit-%d-%s", list[0].Seq, last.Hash[:32])
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "constellation")
	request.Header.Set(webhook.HeaderID, id)
	request.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(webhook.HeaderSignature, webhook.Sign(w.key, id, now, body))
	answer, err := w.client.Do(request)
	if err != nil {
		var asked *url.Error // whose URL may have a secret in its query
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return fmt.Errorf("post to %s: %w", request.URL.Host, err)
	}
	defer answer.Body.Close() //nolint:errcheck // nothing of it is wanted
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("post to %s: the receiver answers %d", request.URL.Host, answer.StatusCode)
	}
	return nil
}
