package keyring

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	requestTimeout = 5 * time.Second
	keepRetry      = 250 * time.Millisecond // all engines agree within a second
	// keepTimeout is how long the Secret may be missing or forbidden, as while a
	// deploy's rights take effect, until the engine serves without one.
	keepTimeout = 5 * time.Second
)

// Setter puts keys in force that are newer than what is; Ring.Set with whatever
// else follows from it. From is where they come from, for the log.
type Setter interface {
	SetKeys(keys config.Keys, from string) bool
}

// Keeper keeps the newest keys that any engine has in force in a Secret. Engines
// watch it, and thus agree. What it holds never gets an older version.
type Keeper struct {
	ring      *Ring
	setter    Setter
	satellite string
	secrets   core.SecretInterface
	log       *slog.Logger
	known     atomic.Bool // what is kept was read once
	started   time.Time
	problem   string // that was logged last, "" after a success
}

// NewKeeper returns a keeper of the keys of ring, which belong to a satellite, in
// a namespace of the cluster.
func NewKeeper(cluster *rest.Config, namespace, satellite string, ring *Ring, setter Setter, log *slog.Logger) (*Keeper, error) {
	client, err := core.NewForConfig(rest.CopyConfig(cluster))
	if err != nil {
		return nil, fmt.Errorf("create a client for the Secret %s: %w", config.KeptSecret, err)
	}
	return &Keeper{ring: ring, setter: setter, satellite: satellite, secrets: client.Secrets(namespace), log: log, started: time.Now()}, nil
}

// Known reports whether it is known what is kept, or that it never will be.
func (k *Keeper) Known() bool { return k.known.Load() }

// Run keeps what is in force, and takes what others kept, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		again, err := k.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := k.note(err)
		if again {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// note logs once why nothing can be kept, and returns when to retry. An engine
// serves without a Secret that it can never read; while the API server is away
// it waits, since the Secret may have what its keys.json has not.
func (k *Keeper) note(err error) time.Duration {
	if err == nil {
		k.problem = ""
		return keepRetry
	}
	if time.Since(k.started) < keepTimeout {
		return keepRetry
	}
	if k.problem != err.Error() {
		k.problem = err.Error()
		k.log.Warn("the keys in force cannot be kept: a restart would go back to those of keys.json; deploying again makes the Secret and the right to write it",
			"secret", config.KeptSecret, "error", err)
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		k.known.Store(true)
		return keepTimeout
	}
	return keepRetry
}

// follow reads the Secret, keeps in it what is newer, and takes from it what is
// newer, until something has to be kept. Then it is to be called again at once.
func (k *Keeper) follow(ctx context.Context) (again bool, err error) {
	secret, err := k.reconcile(ctx)
	if apierrors.IsConflict(err) {
		return true, nil // another engine was first: perhaps with what is newer
	}
	if err != nil {
		return false, err
	}
	k.known.Store(true)
	k.note(nil)
	changes, err := k.secrets.Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + config.KeptSecret, ResourceVersion: secret.ResourceVersion,
	})
	if err != nil {
		return false, fmt.Errorf("watch the Secret: %w", err)
	}
	defer changes.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-k.ring.Changed():
			return true, nil
		case change, ok := <-changes.ResultChan():
			secret, isSecret := change.Object.(*corev1.Secret)
			if !ok || !isSecret || change.Type == watch.Deleted {
				return false, nil
			}
			k.takeKept(secret)
		}
	}
}

// reconcile makes the Secret and what is in force the newer of both.
func (k *Keeper) reconcile(ctx context.Context) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret, err := k.secrets.Get(ctx, config.KeptSecret, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the Secret: %w", err)
	}
	kept := k.takeKept(secret)
	keys := k.ring.InForce()
	if keys.Version <= kept {
		return secret, nil
	}
	data, err := keys.Encode()
	if err != nil {
		return nil, fmt.Errorf("write the keys in force: %w", err)
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[config.KeysFile], secret.Data[config.KeptSatellite] = data, []byte(k.satellite)
	written, err := k.secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: "execution-engine"})
	if err != nil {
		return nil, fmt.Errorf("write the Secret: %w", err)
	}
	return written, nil
}

// takeKept puts in force what a Secret holds, and returns its version; 0 when it
// holds nothing of this satellite.
func (k *Keeper) takeKept(secret *corev1.Secret) int64 {
	data := secret.Data[config.KeysFile]
	if len(data) == 0 || string(secret.Data[config.KeptSatellite]) != k.satellite {
		return 0
	}
	keys, err := config.ParseKeys(data)
	if err != nil {
		// Perhaps a later release wrote it: it is not written over by what is older.
		var kept config.Keys
		_ = json.Unmarshal(data, &kept)
		k.log.Error("what is kept cannot be read", "secret", config.KeptSecret, "version", kept.Version, "error", err)
		return kept.Version
	}
	for _, part := range keys.Refused {
		k.log.Error("a key that is kept is refused; the others are in force", "key", part.Name, "error", part.Reason)
	}
	if keys.Version > k.ring.InForce().Version {
		k.setter.SetKeys(*keys, "the Secret "+config.KeptSecret)
	}
	return keys.Version
}
