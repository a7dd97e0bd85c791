// Package marker remembers a queue's incarnation in a ConfigMap, where the loss
// of the queue's own disks does not reach it.
package marker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Key is what the state stands under in the ConfigMap.
const Key = "state"

// ConfigMap is a queue.Marker. The installer makes the object and leaves what
// is in it to the engines.
type ConfigMap struct {
	maps core.ConfigMapInterface
	name string
}

// New returns the marker that is in a namespace's ConfigMap.
func New(config *rest.Config, namespace, name string) (*ConfigMap, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	client, err := core.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for the queue's ConfigMap: %w", err)
	}
	return &ConfigMap{maps: client.ConfigMaps(namespace), name: name}, nil
}

// Load returns what is remembered: the zero state when there is nothing.
func (m *ConfigMap) Load(ctx context.Context) (queue.MarkerState, error) {
	object, err := m.maps.Get(ctx, m.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return queue.MarkerState{}, nil
	}
	if err != nil {
		return queue.MarkerState{}, fmt.Errorf("read ConfigMap %s: %w", m.name, err)
	}
	return Read(object)
}

// Read returns what a ConfigMap remembers.
func Read(object *corev1.ConfigMap) (queue.MarkerState, error) {
	var s queue.MarkerState
	if text := object.Data[Key]; text != "" {
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return queue.MarkerState{}, fmt.Errorf("read ConfigMap %s: its %q is no state of a queue: %w", object.Name, Key, err)
		}
	}
	s.Version = object.ResourceVersion
	return s, nil
}

// Save stores a state, or returns queue.ErrConflict when another did since it
// was loaded.
func (m *ConfigMap) Save(ctx context.Context, s queue.MarkerState) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write ConfigMap %s: %w", m.name, err)
	}
	object, err := m.maps.Get(ctx, m.name, metav1.GetOptions{})
	switch {
	case err == nil && object.ResourceVersion != s.Version:
		return queue.ErrConflict
	case err == nil:
		object = object.DeepCopy()
		if object.Data = maps.Clone(object.Data); object.Data == nil {
			object.Data = map[string]string{}
		}
		object.Data[Key] = string(text)
		_, err = m.maps.Update(ctx, object, metav1.UpdateOptions{})
	case apierrors.IsNotFound(err) && s.Version == "":
		object = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: m.name}, Data: map[string]string{Key: string(text)}}
		_, err = m.maps.Create(ctx, object, metav1.CreateOptions{})
	case apierrors.IsNotFound(err):
		return queue.ErrConflict
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return queue.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("write ConfigMap %s: %w", m.name, err)
	}
	return nil
}
