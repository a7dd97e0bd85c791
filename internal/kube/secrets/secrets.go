package secrets

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// fieldManager owns the values, and render.FieldManager all else of the Secret:
// neither takes back what the other wrote.
const fieldManager = render.FieldManager + "-secrets"

// saltKey is the key of the Secret with the salt of marks. No variable has a name
// without a dot there.
const saltKey = "salt"

// maxBytes is what a Secret has room for, less what its keys and metadata take.
const maxBytes = 1_000_000

// Values are the secrets of a launch as its cluster has them.
type Values struct{ data map[string][]byte }

// Read returns the values of a launch. A Secret that is not there has none, and
// one of another launch is an error.
func Read(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan) (Values, error) {
	secret, err := c.Typed.CoreV1().Secrets(c.Namespace).Get(ctx, render.SecretsName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return Values{}, nil
	case err != nil:
		return Values{}, fmt.Errorf("read Secret/%s: %w", render.SecretsName, err)
	case secret.Labels[render.LabelLaunch] != plan.Launch.ID:
		return Values{}, constellation.Errorf(constellation.KindConflict, "Secret/%s of namespace %s is not of this launch; delete or rename it, or choose another namespace", render.SecretsName, c.Namespace)
	}
	return Values{secret.Data}, nil
}

// Has reports whether an algorithm's variable has a value.
func (v Values) Has(vanityURL, variable string) bool {
	_, ok := v.data[render.SecretKey(vanityURL, variable)]
	return ok
}

// Mark returns what changes when one of an algorithm's values does; "" for an
// algorithm without any.
func (v Values) Mark(vanityURL string, variables []string) string {
	if len(variables) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, v.data[saltKey])
	for _, name := range slices.Sorted(slices.Values(variables)) {
		value, ok := v.data[render.SecretKey(vanityURL, name)]
		fmt.Fprintf(mac, "%s %t %d ", name, ok, len(value))
		mac.Write(value)
	}
	return hex.EncodeToString(mac.Sum(nil))[:16]
}

// Put sets the value of an algorithm's variable in the cluster, and reports
// whether it is another than before.
func Put(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan, vanityURL, variable string, value []byte) (changed bool, err error) {
	have, err := Read(ctx, c, plan)
	if err != nil {
		return false, err
	}
	key := render.SecretKey(vanityURL, variable)
	if old, ok := have.data[key]; ok && hmac.Equal(old, value) {
		return false, nil
	}
	total := len(key) + len(value)
	for other, data := range have.data {
		if other != key {
			total += len(other) + len(data)
		}
	}
	if total > maxBytes {
		return false, constellation.Errorf(constellation.KindInvalid, "the secrets of a launch have at most %d bytes together, and with this one they have %d; put what is large into a Secret of your own, and give it as a volume", maxBytes, total)
	}
	set := map[string][]byte{key: value}
	if have.data[saltKey] == nil {
		salt := make([]byte, 32)
		rand.Read(salt) //nolint:errcheck // never fails
		set[saltKey] = salt
	}
	if have.data == nil {
		if err := create(ctx, c, plan); err != nil {
			return false, err
		}
	}
	return true, patch(ctx, c, set)
}

// create makes the Secret, empty.
func create(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: render.SecretsName, Labels: render.LaunchLabels(plan, render.SecretsName, "algorithm")},
		Type:       corev1.SecretTypeOpaque,
	}
	_, err := c.Typed.CoreV1().Secrets(c.Namespace).Create(ctx, secret, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Secret/%s: %w", render.SecretsName, err)
	}
	return nil
}

// Keep drops every value but those of the variables, by vanity URL, and returns
// how many it dropped.
func Keep(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan, variables map[string][]string) (dropped int, err error) {
	have, err := Read(ctx, c, plan)
	if err != nil {
		return 0, err
	}
	kept := map[string]bool{saltKey: true}
	for vanityURL, names := range variables {
		for _, name := range names {
			kept[render.SecretKey(vanityURL, name)] = true
		}
	}
	drop := map[string][]byte{}
	for key := range maps.Keys(have.data) {
		if !kept[key] {
			drop[key] = nil
		}
	}
	if len(drop) == 0 {
		return 0, nil
	}
	return len(drop), patch(ctx, c, drop)
}

// patch writes keys of the Secret; nil removes one.
func patch(ctx context.Context, c *cluster.Cluster, data map[string][]byte) error {
	body, err := json.Marshal(map[string]any{"data": data}) // nil is null, which removes
	if err != nil {
		return fmt.Errorf("write Secret/%s: it cannot be encoded", render.SecretsName)
	}
	_, err = c.Typed.CoreV1().Secrets(c.Namespace).Patch(ctx, render.SecretsName, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("write Secret/%s: %w", render.SecretsName, err)
	}
	return nil
}
