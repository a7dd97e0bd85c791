package install

import (
	"context"
	"errors"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/secrets"
)

// Secret is what became of a secret.
type Secret struct {
	VanityURL string `json:"vanity_url"`
	Variable  string `json:"variable"`
	Set       bool   `json:"set"`     // false: it is no secret any more
	Changed   bool   `json:"changed"` // the cluster had another value, or none
	Namespace string `json:"namespace,omitempty"`
}

// ConfigureSecret puts the value of key, stage.env.VANITY_URL.NAME, into the
// configured cluster, and notes in the configuration only that there is one. A
// nil value takes the note back: the next deploy takes the value out of the
// cluster, once no pod needs it.
func ConfigureSecret(ctx context.Context, f store.Folder, key string, value []byte, report *progress.Reporter) (*Secret, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	unlock, err := f.Lock(ctx, "configure", report.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := settings.Read(f)
	if err != nil {
		return nil, err
	}
	vanityURL, variable, err := settings.SecretKey(l.Plan, key)
	if err != nil {
		return nil, fault.Errorf(fault.CodeUsage, "%s; nothing was changed", err)
	}
	result := &Secret{VanityURL: vanityURL, Variable: variable, Set: value != nil}
	c.SetSecret(vanityURL, variable, result.Set)
	data, err := encoded(c, l)
	if err != nil {
		return nil, err
	}
	if result.Set {
		if err := putSecret(ctx, c.Stage, l, result, value); err != nil {
			return nil, fault.Interrupted(ctx, err, "configure")
		}
	}
	return result, c.Write(f, data)
}

// putSecret writes a value into the cluster.
func putSecret(ctx context.Context, stage settings.Stage, l *store.Launch, result *Secret, value []byte) error {
	var v constellation.Validation
	constellation.CheckEnvValue(&v, "stage.env."+result.VanityURL+"."+result.Variable, string(value))
	if err := v.Err(); err != nil {
		return fault.Errorf(fault.CodeUsage, "%s; nothing was changed", settings.Sentence(err))
	}
	k := stage.Kubernetes
	if k.KubeconfigPath == "" || k.Namespace == "" {
		return fault.Errorf(fault.CodeUsage, "a secret goes straight into the cluster, and is kept nowhere else: configure stage.kubernetes.kubeconfig_path and stage.kubernetes.namespace first; nothing was changed")
	}
	cluster, err := target.Connect(ctx, k, target.LookRetryTimeout, nil)
	if err != nil {
		return err
	}
	result.Namespace = cluster.Namespace
	if err := namespaceFor(ctx, cluster, k); err != nil {
		return err
	}
	result.Changed, err = secrets.Put(ctx, cluster, l.Plan, result.VanityURL, result.Variable, value)
	if kind := constellation.KindOf(err); kind == constellation.KindInvalid || kind == constellation.KindConflict {
		return fault.Errorf(fault.CodeUsage, "%s; nothing was changed", settings.Sentence(err))
	}
	if err != nil {
		return target.Refused(err)
	}
	return nil
}

// namespaceFor makes the namespace, where a deploy would, and else says that it
// has to be there.
func namespaceFor(ctx context.Context, c *cluster.Cluster, k settings.Kubernetes) error {
	missing, err := c.NamespaceMissing(ctx)
	switch {
	case err != nil:
		return target.Refused(err)
	case !missing:
		return nil
	case !k.CreateNamespace:
		return fault.Errorf(fault.CodePreflight, "namespace %s does not exist, and a secret goes straight into it: make it with 'kubectl create namespace %s', or configure stage.kubernetes.create_namespace=true; nothing was changed", c.Namespace, c.Namespace)
	}
	if err := (&apply.Applier{Cluster: c}).EnsureNamespace(ctx); err != nil {
		return target.Refused(err)
	}
	return nil
}

// dropSecrets takes values out of the cluster that no algorithm has any more,
// after all that needed them is gone. A failure stops nothing: the next deploy
// tries again.
func (s *session) dropSecrets(ctx context.Context, c *cluster.Cluster, in render.Input) {
	kept := map[string][]string{}
	for vanityURL, over := range in.Settings.Pods {
		kept[vanityURL] = over.Secrets
	}
	dropped, err := secrets.Keep(ctx, c, in.Plan, kept)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		s.report.Line("! secrets that are not used any more are still in Secret/%s: %v", render.SecretsName, err)
	case dropped > 0:
		s.report.Line("%s that nothing uses any more taken out of Secret/%s", progress.Counted(dropped, "secret"), render.SecretsName)
	}
}
