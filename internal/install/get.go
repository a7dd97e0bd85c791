package install

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
)

// GetOptions are what get needs besides the launch's folder.
type GetOptions struct {
	Mothership string // host[:port] or URL; "" is the last one used
	Key        string
	TLS        TLS
	Trust      string // id of a new mothership key that the operator accepts
	Progress   *Progress
	FreeSpace  func(dir string) (int64, error) // nil asks the file system
	Idle       time.Duration                   // 0 is 30 s
	Backoff    func(attempt int) time.Duration // nil is 0.5 s doubling to 15 s
}

// GetResult is what get did.
type GetResult struct {
	Path             string `json:"path"`
	SatelliteVersion int    `json:"satellite_version"`
	Algorithms       int    `json:"algorithms"`
	Blobs            int    `json:"blobs"`
	Bytes            int64  `json:"bytes"`
	Fetched          int64  `json:"bytes_fetched"` // of blobs, over the network, in this run
	Unchanged        bool   `json:"unchanged"`
}

// Get downloads a launch into its folder. launch.json is written first and
// index.json last: a folder with a matching index.json is complete. When all
// is there already it costs one request.
func Get(ctx context.Context, f Folder, o GetOptions) (*GetResult, error) {
	result, err := get(ctx, f, o)
	return result, interrupted(ctx, full(err, f.Root), "the download")
}

func get(ctx context.Context, f Folder, o GetOptions) (*GetResult, error) {
	if err := f.make(); err != nil {
		return nil, err
	}
	unlock, err := f.lock(ctx, "get", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := o.mothership(f.Root)
	if err != nil {
		return nil, err
	}
	defer m.client.CloseIdleConnections()
	current, etag, err := here(ctx, f, o.Progress)
	if err != nil {
		return nil, err
	}
	signed, err := m.plan(ctx, f, etag)
	if err != nil {
		return nil, err
	}
	if signed == nil || etag == bundle.Digest([]byte(signed.Launch)) {
		return current.result(f, true), rememberLast(f.Root, m.base.String())
	}
	launch, err := accept(f, o, m, signed)
	if err != nil {
		return nil, err
	}
	return download(ctx, f, o, m, signed, launch)
}

// here gives the launch that is in the folder already and what it is known by,
// "" when it is not whole.
func here(ctx context.Context, f Folder, progress *Progress) (*launch, string, error) {
	l, err := openLaunch(f)
	if err != nil || l.complete() != nil {
		return nil, "", nil //nolint:nilerr // then all of it is asked for
	}
	var signature bundle.Signature
	if json.Unmarshal(l.signature, &signature) != nil || signature.Verify(l.rootBytes, nil) != nil {
		return nil, "", nil
	}
	missing, _, err := l.wanted(ctx, progress)
	if err != nil || len(missing) > 0 {
		return nil, "", err
	}
	return l, bundle.Digest(l.rootBytes), nil
}

func (o GetOptions) mothership(root string) (*mothership, error) {
	address := o.Mothership
	if address == "" {
		last, err := LastMothership(root)
		if err != nil {
			return nil, err
		}
		if address = last; last == "" {
			return nil, errorf(CodeUsage, "which mothership? give --mothership https://HOST, or set ALGO_MOTHERSHIP; the launch's page shows the whole command")
		}
	}
	base, note, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if note != "" {
		o.Progress.Line("%s", note)
	}
	transport, err := o.TLS.transport()
	if err != nil {
		return nil, err
	}
	transport.ResponseHeaderTimeout = cmp.Or(o.Idle, headerTimeout)
	m := &mothership{base: base, key: o.Key, client: &http.Client{Transport: transport}, retrier: retrier{report: o.Progress.Retry, delay: o.Backoff}}
	if m.delay == nil {
		m.delay = backoff
	}
	return m, nil
}

// accept checks what the mothership sent, and writes launch.json.
func accept(f Folder, o GetOptions, m *mothership, signed *apiv1.SignedPlan) (*launch, error) {
	var signature bundle.Signature
	if err := json.Unmarshal(signed.Signature, &signature); err != nil {
		return nil, wrap(err, CodeIntegrity, "read the launch's signature")
	}
	t, err := readTrust(f.Root)
	if err != nil {
		return nil, err
	}
	note, err := t.check([]byte(signed.Launch), signature, m.base.String(), o.Trust)
	if err != nil {
		return nil, err
	}
	l, err := parseLaunch(f, []byte(signed.Launch), []byte(signed.Plan))
	if err != nil {
		return nil, err
	}
	t.Last = m.base.String()
	if err := writeJSON(trustFile(f.Root), t); err != nil {
		return nil, wrap(err, CodeFailed, "remember the mothership")
	}
	if note != "" {
		o.Progress.Line("%s", note)
	}
	l.signature = signed.Signature
	return l, nil
}

func rememberLast(root, address string) error {
	t, err := readTrust(root)
	if err != nil || t.Last == address {
		return err
	}
	t.Last = address
	return writeJSON(trustFile(root), t)
}

// download fetches what is missing, and commits.
func download(ctx context.Context, f Folder, o GetOptions, m *mothership, signed *apiv1.SignedPlan, l *launch) (*GetResult, error) {
	repository, _, ok := strings.Cut(signed.Bundle, ":")
	if !ok {
		return nil, errorf(CodeIntegrity, "the mothership names no bundle")
	}
	missing, need, err := l.wanted(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := room(f, o.FreeSpace, missing, need); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	d := &downloader{mothership: m, folder: f, repository: repository, idle: cmp.Or(o.Idle, idleTimeout)}
	if d.journal, err = openJournal(f); err != nil {
		return nil, err
	}
	defer d.journal.close()
	o.Progress.Line("downloading version %d of satellite %s: %d of %d blobs, %s", l.root.Version, l.plan.Satellite.Name, len(missing), len(l.root.Blobs), Size(need))
	d.transfer = o.Progress.transfer("download", len(missing), need, newWidth())
	err = moveAll(ctx, "downloaded", d.transfer, missing, d.fetch)
	d.transfer.end()
	if err != nil {
		return nil, err
	}
	if err := d.commit(ctx, l, signed.Index); err != nil {
		return nil, err
	}
	result := l.result(f, false)
	result.Fetched = d.transfer.moved.Load()
	return result, nil
}
