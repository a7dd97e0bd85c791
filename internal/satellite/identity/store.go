package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	client "k8s.io/client-go/util/retry"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Kept is an issuer's keys as they were last fetched.
type Kept struct {
	URL       string          `json:"url"`
	Issuer    string          `json:"issuer"`
	FetchedAt time.Time       `json:"fetched_at"`
	Keys      json.RawMessage `json:"keys"`
}

// Store keeps the last keys over restarts.
type Store interface {
	// Load returns the zero value when nothing is kept.
	Load(ctx context.Context) (Kept, error)
	Save(ctx context.Context, k Kept) error
}

// maxKept bounds what is read of a store.
const maxKept = 2 * maxKeySet

func decodeKept(data []byte) (Kept, error) {
	var k Kept
	if len(data) == 0 {
		return k, nil
	}
	if len(data) > maxKept {
		return k, fmt.Errorf("the kept keys have more than %d bytes", maxKept)
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return Kept{}, fmt.Errorf("read the kept keys: %w", err)
	}
	return k, nil
}

// File is a store on a laptop's disk.
type File string

// Load reads the file.
func (f File) Load(context.Context) (Kept, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, fmt.Errorf("read the kept keys: %w", err)
	}
	return decodeKept(data)
}

// Save writes the file as a whole.
func (f File) Save(_ context.Context, k Kept) error {
	data, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("write the kept keys: %w", err)
	}
	next, err := os.CreateTemp(filepath.Dir(string(f)), ".jwks-*")
	if err != nil {
		return fmt.Errorf("write the kept keys: %w", err)
	}
	defer os.Remove(next.Name()) // nothing once it is renamed
	_, err = next.Write(data)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), string(f))
	}
	if err != nil {
		return fmt.Errorf("write the kept keys: %w", err)
	}
	return nil
}

// maxKeptSecret is how large the keys are that are kept in a Secret, which has
// more in it.
const maxKeptSecret = 64 << 10

// secret is a store in a Secret of the cluster.
type secret struct{ secrets core.SecretInterface }

// NewSecret returns the store in the Secret config.KeptSecret of a namespace, which
// the installer makes.
func NewSecret(cluster *rest.Config, namespace string) (Store, error) {
	cluster = rest.CopyConfig(cluster)
	cluster.Timeout = 5 * time.Second
	secrets, err := core.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("make a client for the Secret %s: %w", config.KeptSecret, err)
	}
	return &secret{secrets.Secrets(namespace)}, nil
}

func (s *secret) read(ctx context.Context) (*corev1.Secret, error) {
	object, err := s.secrets.Get(ctx, config.KeptSecret, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the Secret %s: %w", config.KeptSecret, err)
	}
	return object, nil
}

// Load reads the Secret.
func (s *secret) Load(ctx context.Context) (Kept, error) {
	object, err := s.read(ctx)
	if err != nil {
		return Kept{}, err
	}
	return decodeKept(object.Data[config.JWKSFile])
}

// Save writes the Secret, unless another engine wrote newer keys.
func (s *secret) Save(ctx context.Context, k Kept) error {
	data, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("write the kept keys: %w", err)
	}
	if len(data) > maxKeptSecret {
		return fmt.Errorf("the issuer's keys have %d bytes, and at most %d are kept", len(data), maxKeptSecret)
	}
	// Of two who write at once, one is asked to read again.
	return client.RetryOnConflict(client.DefaultRetry, func() error { return s.save(ctx, k, data) })
}

func (s *secret) save(ctx context.Context, k Kept, data []byte) error {
	object, err := s.read(ctx)
	if err != nil {
		return err
	}
	if there, err := decodeKept(object.Data[config.JWKSFile]); err == nil && there.URL == k.URL && there.Issuer == k.Issuer && there.FetchedAt.After(k.FetchedAt) {
		return nil
	}
	if object.Data == nil {
		object.Data = map[string][]byte{}
	}
	object.Data[config.JWKSFile] = data
	if _, err := s.secrets.Update(ctx, object, metav1.UpdateOptions{FieldManager: "execution-engine"}); err != nil {
		return fmt.Errorf("write the Secret %s: %w", config.KeptSecret, err)
	}
	return nil
}
