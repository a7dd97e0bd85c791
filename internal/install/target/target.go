package target

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
)

// LookRetryTimeout is the retry budget of verbs that only look: an answer that
// breaks off is asked for again, and a cluster that is away is reported soon.
const LookRetryTimeout = 10 * time.Second

// Connect reaches the configured cluster. While it is away, requests are retried
// for retryTimeout, which report, unless it is nil, is told.
func Connect(ctx context.Context, k settings.Kubernetes, retryTimeout time.Duration, report *progress.Reporter) (*cluster.Cluster, error) {
	policy := cluster.RetryPolicy{Budget: retryTimeout}
	if report != nil {
		policy.Report = report.Line
	}
	connected, err := cluster.Connect(ctx, k.KubeconfigPath, k.Context, k.Namespace, policy)
	switch {
	case errors.Is(err, kubeconfig.ErrUnusable):
		return nil, fault.Wrap(err, fault.CodePreflight, "stage.kubernetes")
	case apierrors.IsUnauthorized(err):
		return nil, fault.Wrap(err, fault.CodeAuth, "the cluster refuses the kubeconfig's credentials")
	case errors.Is(err, cluster.ErrUnreachable):
		return nil, fault.Wrap(err, fault.CodeNetwork, "stage.kubernetes")
	case err != nil:
		return nil, fault.Wrap(err, fault.CodePreflight, "the cluster refuses")
	}
	return connected, nil
}

// Place returns the API server and the namespace that the launch goes to, as far
// as this machine knows: one that only pushes has no kubeconfig.
func Place(k settings.Kubernetes) (server, namespace string) {
	server, err := kubeconfig.Server(k.KubeconfigPath, k.Context)
	if err != nil || k.Namespace == "" {
		return "", ""
	}
	return server, k.Namespace
}

// Refused returns what the API server would not do. What the preflight found
// allowed may be taken away while a deploy runs.
func Refused(err error) error {
	switch {
	case errors.Is(err, cluster.ErrUnreachable):
		return fault.Wrap(err, fault.CodeNetwork, "the cluster gave no answer")
	case apierrors.IsUnauthorized(err):
		return fault.Wrap(err, fault.CodeAuth, "the cluster refuses the kubeconfig's credentials")
	case apierrors.IsForbidden(err):
		return &fault.Error{Code: fault.CodeFailed, Message: "the cluster forbids it", Err: err,
			Next: "→ 'doctor' lists every right that is missing, and the Role that gives them"}
	}
	return fault.Wrap(err, fault.CodeFailed, "the cluster refuses")
}
