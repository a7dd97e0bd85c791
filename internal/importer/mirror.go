package importer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/riverqueue/river"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/foreign"
	"github.com/constellation-serving/constellation/internal/retry"
)

// dueMirrors begins the polls of mirrors that are due.
type dueMirrors struct{}

// Kind is part of river.JobArgs.
func (dueMirrors) Kind() string { return "due_mirrors" }

// MirrorJob is the job of polling a mirror once.
type MirrorJob struct {
	MirrorID string `json:"mirror_id"`
	Round    int    `json:"round"` // another poll of it is another job
}

// Kind is part of river.JobArgs.
func (MirrorJob) Kind() string { return "poll_mirror" }

// InsertOpts is part of river.JobArgsWithInsertOpts. A poll that fails is tried again by
// its own clock; an attempt of River's is a server that was killed.
func (MirrorJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "mirror", MaxAttempts: 10}
}

// Bounds of polls.
const (
	pollTimeout  = 4 * time.Minute
	dueEvery     = 15 * time.Second
	importsOnce  = 4 // imports of one mirror that are under way
	tellFailures = 3 // failures in a row that people are told of
)

// pollMirror polls a mirror.
func (m *Importer) pollMirror(ctx context.Context, job MirrorJob) error {
	mirror, err := m.o.Control.WorkMirror(ctx, job.MirrorID, job.Round)
	if errors.Is(err, control.ErrPollEnded) || constellation.KindOf(err) == constellation.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	p := &poll{importer: m, mirror: mirror}
	err = p.do(limited)
	switch {
	case errors.Is(err, control.ErrPollEnded):
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // another server
	}
	next := m.interval(mirror)
	if p.left {
		next = min(next, m.o.Soon)
	}
	if err == nil {
		return m.o.Control.EndPoll(ctx, mirror, nil, time.Now().Add(next), false)
	}
	m.o.Log.WarnContext(ctx, "mirror", "mirror", mirror.ID, "source", mirror.Source, "error", err)
	permanent := retry.IsPermanent(err)
	tell := permanent || mirror.Failures+1 >= tellFailures
	return m.o.Control.EndPoll(ctx, mirror, inWords(err), time.Now().Add(m.backoff(mirror, err, permanent)), tell)
}

// interval is how long it is until a mirror's next poll: not the same for all, since
// many are made at once.
func (m *Importer) interval(mirror *constellation.Mirror) time.Duration {
	const jitter = 0.1
	return time.Duration(float64(mirror.IntervalSeconds) * float64(time.Second) * (1 - jitter + 2*jitter*rand.Float64())) //nolint:gosec // no secret
}

// backoff is how long a mirror is left alone that failed: where another attempt may help
// from half a minute on, else from its interval on, and as long as the registry asked.
func (m *Importer) backoff(mirror *constellation.Mirror, err error, permanent bool) time.Duration {
	interval := m.interval(mirror)
	b := retry.Backoff{First: m.o.Soon, Most: max(interval, time.Hour), Jitter: 0.3}
	if permanent {
		b = retry.Backoff{First: interval, Most: max(interval, 6*time.Hour), Jitter: 0.1}
	}
	delay := b.Delay(mirror.Failures)
	if asked, ok := retry.AskedDelay(err); ok {
		delay = max(delay, asked)
	}
	return delay
}

// poll is one poll of a mirror.
type poll struct {
	importer *Importer
	mirror   *constellation.Mirror
	registry *foreign.Registry
	source   constellation.ImageName
	left     bool // there is more to ask for once imports have ended
}

func (p *poll) do(ctx context.Context) (err error) {
	if p.source, err = constellation.ParseRepositoryName(p.mirror.Source); err != nil {
		return retry.Permanent(err)
	}
	if p.registry, err = p.importer.open(ctx, p.source.Host); err != nil {
		return retry.Permanent(err)
	}
	defer p.registry.Close()
	if err := p.list(ctx); err != nil {
		return err
	}
	tags, err := p.importer.o.Control.FollowedTags(ctx, p.mirror)
	if err != nil {
		return err
	}
	digests, order, err := p.resolve(ctx, tags)
	if err != nil {
		return err
	}
	under := 0
	for _, t := range tags {
		if t.State == constellation.VersionImporting {
			under++
		}
	}
	for _, n := range order {
		if under >= importsOnce {
			p.left = true
			break
		}
		asked, err := p.tag(ctx, &tags[n], digests[n])
		if err != nil {
			return err
		}
		if asked {
			under++
		}
	}
	return nil
}

// resolve returns which image each tag has now, "" where it went just now, and in which
// order they are looked at: of several tags of an image the newest first, after which its
// version is called.
func (p *poll) resolve(ctx context.Context, tags []constellation.MirrorTag) (digests []string, order []int, err error) {
	digests = make([]string, len(tags))
	newest := map[string]int{}
	for n, t := range tags {
		digest, err := p.registry.Resolve(ctx, p.source.Repository, t.Tag)
		if err != nil && !foreign.IsUnknown(err) {
			return nil, nil, err
		}
		digests[n], newest[digest] = digest, n
	}
	var others []int
	for n, digest := range digests {
		switch {
		case digest == "":
		case newest[digest] == n:
			order = append(order, n)
		default:
			others = append(others, n)
		}
	}
	return digests, append(order, others...), nil
}

// list notes which tags there are, unless they are those of the last time.
func (p *poll) list(ctx context.Context) error {
	list, err := p.registry.ListTags(ctx, p.source.Repository, control.MaxMirrorTagsListed, p.mirror.ETag)
	if err != nil || list.Same {
		return err
	}
	var matching []string
	for _, tag := range list.Tags {
		if p.mirror.Matches(tag) {
			matching = append(matching, tag)
		}
	}
	if err := p.importer.o.Control.NoteMirrorTags(ctx, p.mirror, matching); err != nil {
		return err
	}
	p.mirror.Listed, p.mirror.More, p.mirror.ETag = len(list.Tags), list.More, list.ETag
	return nil
}

// tag has the image that a tag has now imported if it is new; asked reports whether.
func (p *poll) tag(ctx context.Context, t *constellation.MirrorTag, digest string) (asked bool, err error) {
	if digest == t.Digest && t.State != constellation.VersionFailed {
		return false, nil
	}
	c := p.importer.o.Control
	known, asked, err := c.KnowMirrored(ctx, p.mirror, t, digest)
	if err != nil || known {
		return asked, err
	}
	labels, err := p.labels(ctx, digest, 0)
	if err != nil && !retry.IsPermanent(err) {
		return false, err
	}
	// What has no labels to read is imported all the same, which says why it cannot be.
	return c.AskMirrored(ctx, p.mirror, t.Tag, digest, labels)
}

// labels returns the labels of an image, of an index those of its first one for linux.
func (p *poll) labels(ctx context.Context, digest string, depth int) (map[string]string, error) {
	m, err := p.registry.Manifest(ctx, p.source.Repository, digest)
	if err != nil {
		return nil, err
	}
	d, err := m.Document()
	if err != nil {
		return nil, err
	}
	if m.IsIndex() {
		for _, child := range d.Manifests {
			if child.Platform != nil && child.Platform.OS == "linux" && depth < maxDepth && validDigest(child.Digest.String()) {
				return p.labels(ctx, child.Digest.String(), depth+1)
			}
		}
		return nil, nil
	}
	if d.Config == nil || !validDigest(d.Config.Digest.String()) {
		return nil, nil
	}
	body, err := p.registry.Blob(ctx, p.source.Repository, d.Config.Digest.String(), 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(body, foreign.MaxManifest))
	if err != nil {
		return nil, err
	}
	var image v1.Image
	if json.Unmarshal(data, &image) != nil {
		return nil, nil
	}
	labels := map[string]string{}
	for name, value := range image.Config.Labels {
		labels[strings.ToLower(name)] = value
	}
	return labels, nil
}

// checkWithin is how long somebody waits who asks whether a registry answers.
const checkWithin = 15 * time.Second

// CheckRegistry asks a registry whether it lets us in, and returns why not, in words.
func (m *Importer) CheckRegistry(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	r, err := m.open(ctx, host)
	if err != nil {
		return inWords(err)
	}
	defer r.Close()
	if err := r.Check(ctx); err != nil {
		return inWords(err)
	}
	return nil
}
