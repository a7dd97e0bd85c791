package install

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/mothership"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

// GetOptions are what get needs besides the launch's folder.
type GetOptions struct {
	Mothership string // host[:port] or URL; "" is the last one used
	Key        string
	TLS        connection.TLS
	Trust      string // id of a new mothership key that the operator accepts
	Progress   *progress.Reporter
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
func Get(ctx context.Context, f store.Folder, o GetOptions) (*GetResult, error) {
	result, err := get(ctx, f, o)
	return result, fault.Interrupted(ctx, store.NoRoomLeft(err, f.Root), "the download")
}

func get(ctx context.Context, f store.Folder, o GetOptions) (*GetResult, error) {
	if f.Work != "" {
		return nil, fault.Errorf(fault.CodeUsage, "get writes into the deployment folder itself: name another with --deployment-dir; --work-dir is for a launch that is only read")
	}
	if err := f.Make(); err != nil {
		return nil, err
	}
	unlock, err := f.Lock(ctx, "get", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	m, err := o.mothership(f.Root)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	current, etag, err := store.Present(ctx, f, o.Progress)
	if err != nil {
		return nil, err
	}
	attempts := transfer.NewRetrier(o.Progress.Retry, o.Backoff)
	var signed *apiv1.SignedPlan
	err = attempts.Do(ctx, "fetch the plan", transfer.PlanAttempts, func() (err error) {
		signed, err = m.Plan(ctx, f.SatelliteID, f.LaunchID, etag)
		return err
	})
	if err != nil {
		return nil, err
	}
	if signed == nil {
		return getResult(current, f, true), rememberLast(f, m.Address())
	}
	launch, err := accept(f, o, m, signed)
	if err != nil {
		return nil, err
	}
	if current != nil && current.Covers(launch.RootBytes, launch.Signature) {
		return getResult(current, f, true), nil
	}
	return download(ctx, f, o, m, attempts, signed, launch)
}

func (o GetOptions) mothership(root string) (*mothership.Client, error) {
	address := o.Mothership
	if address == "" {
		last, err := store.LastMothership(root)
		if err != nil {
			return nil, err
		}
		if address = last; last == "" {
			return nil, fault.Errorf(fault.CodeUsage, "which mothership? give --mothership https://HOST, or set ALGO_MOTHERSHIP; the launch's page shows the whole command")
		}
	}
	base, note, err := mothership.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if note != "" {
		o.Progress.Line("%s", note)
	}
	return mothership.New(base, o.Key, o.TLS, o.Idle)
}

// accept checks what the mothership sent, and writes launch.json.
func accept(f store.Folder, o GetOptions, m *mothership.Client, signed *apiv1.SignedPlan) (*store.Launch, error) {
	var signature bundle.Signature
	if err := json.Unmarshal(signed.Signature, &signature); err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "read the launch's signature")
	}
	t, err := f.ReadTrust()
	if err != nil {
		return nil, err
	}
	trusted, err := t.Check([]byte(signed.Launch), signature, m.Address(), o.Trust, time.Now(), false)
	if err != nil {
		return nil, err
	}
	l, err := store.ParseLaunch(f, []byte(signed.Launch), []byte(signed.Plan))
	if err != nil {
		return nil, err
	}
	t.Last = m.Address()
	if err := f.WriteTrust(t); err != nil {
		return nil, err
	}
	if trusted.Line != "" {
		o.Progress.Line("%s", trusted.Line)
	}
	l.Signature = signed.Signature
	return l, nil
}

func rememberLast(f store.Folder, address string) error {
	t, err := f.ReadTrust()
	if err != nil || t.Last == address {
		return err
	}
	t.Last = address
	return f.WriteTrust(t)
}

// download fetches what is missing, and commits.
func download(ctx context.Context, f store.Folder, o GetOptions, m *mothership.Client, attempts transfer.Retrier, signed *apiv1.SignedPlan, l *store.Launch) (*GetResult, error) {
	repository, _, ok := strings.Cut(signed.Bundle, ":")
	if !ok {
		return nil, fault.Errorf(fault.CodeIntegrity, "the mothership names no bundle")
	}
	missing, need, err := l.BlobsToFetch(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := store.CheckRoom(f, o.FreeSpace, missing, need); err != nil {
		return nil, err
	}
	if err := l.Begin(); err != nil {
		return nil, err
	}
	w, err := store.NewBlobWriter(f)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	d := &transfer.Downloader{Client: m, Retrier: attempts, BlobWriter: w, Repository: repository, Stall: cmp.Or(o.Idle, connection.StallTimeout), Report: o.Progress}
	o.Progress.Line("downloading version %d of satellite %s: %d of %d blobs, %s", l.Root.Version, l.Plan.Satellite.Name, len(missing), len(l.Root.Blobs), progress.Size(need))
	moved, err := d.Download(ctx, missing, need)
	if err != nil {
		return nil, err
	}
	if err := d.Commit(ctx, l, signed.Index); err != nil {
		return nil, err
	}
	result := getResult(l, f, false)
	result.Fetched = moved
	return result, nil
}

// getResult returns what of a launch is there.
func getResult(l *store.Launch, f store.Folder, unchanged bool) *GetResult {
	r := &GetResult{Path: f.Path(), SatelliteVersion: l.Root.Version, Algorithms: len(l.Plan.Algorithms), Blobs: len(l.Root.Blobs), Unchanged: unchanged}
	for _, blob := range l.Root.Blobs {
		r.Bytes += blob.Size
	}
	return r
}
