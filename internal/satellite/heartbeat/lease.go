package heartbeat

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// leaseLasts is how long a holder that says nothing keeps it.
const leaseLasts = 15 * time.Second

// Lease is who reports. client-go's elector gives a lease up when the API
// server is away; this one does not: a satellite whose API server is away
// serves, and goes on saying so. Two that report at once do no harm, since
// each heartbeat names its engine.
type Lease struct {
	leases   coordination.LeaseInterface
	identity string

	holds atomic.Bool
	seen  string    // the resource version of another's lease
	since time.Time // when it was first seen, by our clock
	said  bool      // that the API server does not answer

	accepted time.Time // the last report of this engine that the mothership took
	reported bool      // this engine sent a report, and what follows is of the last
	problem  string    // why the mothership did not take it, "" when it did
	wanted   int       // the satellite version that the mothership has for the launch, 0 unknown
}

// AnnotationAccepted is on the Lease: when the mothership last accepted a
// report, as RFC 3339. `algo-install … status` shows it.
const AnnotationAccepted = "constellation/last-heartbeat"

// Annotations of the Lease beside it: why the mothership did not take the last
// report, and the satellite version that it has for the launch.
const (
	AnnotationProblem = "constellation/heartbeat-error"
	AnnotationWanted  = "constellation/mothership-version"
)

// maxProblem bounds what is kept of a problem, in bytes.
const maxProblem = 512

// failed notes that the mothership did not take a report.
func (l *Lease) failed(err error) {
	if l == nil {
		return
	}
	l.reported, l.problem = true, strings.ToValidUTF8(strings.Join(strings.Fields(err.Error()), " "), "�")
	if len(l.problem) > maxProblem {
		l.problem = strings.ToValidUTF8(l.problem[:maxProblem], "") + "…"
	}
}

// succeeded notes that the mothership took a report, and which version it has.
func (l *Lease) succeeded(wanted int) {
	if l != nil {
		l.accepted, l.reported, l.problem, l.wanted = time.Now(), true, "", wanted
	}
}

// NewLease makes the part that one engine, named by identity, has in the
// agreement of those in a namespace.
func NewLease(config *rest.Config, namespace, identity string) (*Lease, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	client, err := coordination.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for the lease: %w", err)
	}
	return &Lease{leases: client.Leases(namespace), identity: identity}, nil
}

// every is how often hold wants to be called.
func (*Lease) every() time.Duration { return leaseLasts / 3 }

// hold takes or keeps the lease, and says whether this engine has it. When
// the API server does not say, it is as it was.
func (l *Lease) hold(ctx context.Context, log *slog.Logger) bool {
	holds, err := l.try(ctx)
	switch {
	case err == nil:
		if holds != l.holds.Load() {
			log.Info("which engine reports to the mothership", "this_one", holds)
		}
		l.holds.Store(holds)
		l.said = false
	case !l.said && ctx.Err() == nil:
		l.said = true
		log.Warn("the API server does not say which engine reports; it stays as it was", "reports", l.holds.Load(), "error", err)
	}
	return l.holds.Load()
}

// Holds reports whether this engine has the lease, as far as it knows. It may be
// called from any goroutine.
func (l *Lease) Holds() bool { return l.holds.Load() }

func (l *Lease) try(ctx context.Context) (bool, error) {
	lease, err := l.leases.Get(ctx, config.LeaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: config.LeaseName}}
		l.sign(lease)
		_, err = l.leases.Create(ctx, lease, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" && *holder != l.identity {
		// By our own clock, and not by the times in it: clocks differ.
		if lease.ResourceVersion != l.seen {
			l.seen, l.since = lease.ResourceVersion, time.Now()
		}
		if time.Since(l.since) < leaseLasts {
			return false, nil
		}
	}
	l.sign(lease)
	_, err = l.leases.Update(ctx, lease, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return false, nil // another was first
	}
	return err == nil, err
}

// sign makes the lease this engine's, from now.
func (l *Lease) sign(lease *coordinationv1.Lease) {
	now, seconds := metav1.NowMicro(), int32(leaseLasts/time.Second)
	if holder := lease.Spec.HolderIdentity; holder == nil || *holder != l.identity {
		lease.Spec.AcquireTime = &now
	}
	lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = &l.identity, &now, &seconds
	if !l.accepted.IsZero() {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, AnnotationAccepted, l.accepted.UTC().Format(time.RFC3339))
	}
	if !l.reported {
		return // what another engine was told last stays
	}
	delete(lease.Annotations, AnnotationProblem)
	if l.problem != "" {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, AnnotationProblem, l.problem)
	}
	if l.wanted > 0 {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, AnnotationWanted, strconv.Itoa(l.wanted))
	}
}

// release lets another engine report at once.
func (l *Lease) release(ctx context.Context) {
	if !l.holds.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	lease, err := l.leases.Get(ctx, config.LeaseName, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != l.identity {
		return
	}
	nobody := ""
	lease.Spec.HolderIdentity = &nobody
	_, _ = l.leases.Update(ctx, lease, metav1.UpdateOptions{})
}
