package cluster

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrNoSecret is a pull secret that is not there, ErrNotPull a Secret that is
// no pull secret, and ErrUnread one that this account may not read.
var (
	ErrNoSecret = errors.New("there is no such Secret")
	ErrNotPull  = errors.New("the Secret is not of the type kubernetes.io/dockerconfigjson")
	ErrUnread   = errors.New("this account may not read the Secret")
)

// PullSecret reads the docker configuration that a Secret of the namespace has.
func (c *Cluster) PullSecret(ctx context.Context, name string) ([]byte, error) {
	secret, err := c.Typed.CoreV1().Secrets(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, ErrNoSecret
	case apierrors.IsForbidden(err):
		return nil, ErrUnread
	case err != nil:
		return nil, fmt.Errorf("read Secret/%s: %w", name, err)
	case secret.Type == corev1.SecretTypeDockercfg: // of the oldest kind: the logins alone
		return []byte(`{"auths":` + string(secret.Data[corev1.DockerConfigKey]) + `}`), nil
	case secret.Type != corev1.SecretTypeDockerConfigJson:
		return nil, fmt.Errorf("%w, but %s", ErrNotPull, secret.Type)
	}
	return secret.Data[corev1.DockerConfigJsonKey], nil
}
