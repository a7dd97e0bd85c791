package render

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// accounts returns the engine's account and its right to see which replicas are ready.
func (r *renderer) accounts() []runtime.Object {
	never := false
	return []runtime.Object{
		&corev1.ServiceAccount{
			TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
			ObjectMeta:                   r.meta(EngineName, "engine"),
			AutomountServiceAccountToken: &never,
		},
		&rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
			ObjectMeta: r.meta(EngineName, "engine"),
			Rules:      r.engineRules(),
		},
		&rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
			ObjectMeta: r.meta(EngineName, "engine"),
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: EngineName},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: EngineName, Namespace: r.Settings.Namespace}},
		},
	}
}

// EngineRules are what the engine may do in its namespace. The installer needs
// the same rights to grant them.
func EngineRules(apis APIs) []rbacv1.PolicyRule {
	verbs := []string{"get", "list", "watch"}
	if apis.EndpointSlice == "" {
		return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"endpoints"}, Verbs: verbs}}
	}
	return []rbacv1.PolicyRule{{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: verbs}}
}

// engineRules leaves out what nothing of the launch needs: the Lease, where
// nothing is reported, scheduled or scaled, and the queue's ConfigMap.
func (r *renderer) engineRules() []rbacv1.PolicyRule {
	rules := append(EngineRules(r.APIs), KeptRules()...)
	if r.Settings.Queue.On {
		rules = append(rules, QueueRules()...)
	}
	if r.Scales() {
		rules = append(rules, ScaleRules()...)
	}
	if r.Settings.MothershipURL == "" && !r.Settings.Queue.On && !r.Scales() {
		return rules
	}
	return append(rules, LeaseRules()...)
}

// KeptRules let engines keep in one Secret, and in no other, the newest keys
// that they were told of.
func KeptRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "update"}, ResourceNames: []string{config.KeptSecret},
	}}
}

// ScaleRules let engines set the replicas that follow the load, and say why they
// do not come.
func ScaleRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, Verbs: []string{"update"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
	}
}

// LeaseRules let engines agree by their Lease who reports to the mothership,
// runs schedules and scales.
// A right to create cannot be held to a name.
func LeaseRules() []rbacv1.PolicyRule {
	groups, leases := []string{"coordination.k8s.io"}, []string{"leases"}
	return []rbacv1.PolicyRule{
		{APIGroups: groups, Resources: leases, Verbs: []string{"create"}},
		{APIGroups: groups, Resources: leases, Verbs: []string{"get", "update"}, ResourceNames: []string{config.LeaseName}},
	}
}

// configuration is what the engine reads, what algorithms call each other
// with, and what pods pull with.
func (r *renderer) configuration() error {
	table := r.routes()
	if err := table.Validate(); err != nil {
		return fmt.Errorf("the plan has what its engines would refuse: change that in the satellite, then get and deploy again: %w", err)
	}
	routes, err := config.Encode(table)
	if err != nil {
		return fmt.Errorf("write %s: %w", config.RoutesFile, err)
	}
	keys, err := r.keys().Encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", config.KeysFile, err)
	}
	r.add(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta(EngineName, "engine"),
		Data:       map[string]string{config.RoutesFile: string(routes)},
	}, r.secret(EngineName, "engine", corev1.SecretTypeOpaque, map[string][]byte{
		config.KeysFile:  keys,
		config.TokenFile: []byte(r.Plan.Launch.Token),
	}), r.secret(config.KeptSecret, "engine", corev1.SecretTypeOpaque, nil), r.secret(AlgorithmKey, "algorithm", corev1.SecretTypeOpaque, map[string][]byte{
		"key": []byte(r.Plan.InternalKey()),
	}))
	if slices.ContainsFunc(r.Plan.Algorithms, func(a bundle.Algorithm) bool { return len(r.Settings.Pods[a.VanityURL].Secrets) > 0 }) {
		r.add(r.secret(SecretsName, "algorithm", corev1.SecretTypeOpaque, nil))
	}
	r.queueState()
	r.registryCA()
	if r.Settings.PullConfig != nil {
		r.add(r.secret(r.Settings.PullSecret, "registry", corev1.SecretTypeDockerConfigJson, map[string][]byte{
			corev1.DockerConfigJsonKey: r.Settings.PullConfig,
		}))
	}
	return r.err
}

func (r *renderer) secret(name, component string, kind corev1.SecretType, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: r.meta(name, component),
		Type:       kind,
		Data:       data,
	}
}

// routes is the engine's routes.json.
func (r *renderer) routes() config.Routes {
	routes := config.Routes{
		Satellite: config.Satellite{
			ID: r.Plan.Satellite.ID, Name: r.Plan.Satellite.Name,
			Version: r.Plan.Satellite.Version, ExpiresAt: r.Plan.Satellite.ExpiresAt,
		},
		Launch:     config.Launch{ID: r.Plan.Launch.ID},
		Mothership: config.Mothership{URL: r.Settings.MothershipURL, Proxy: r.Settings.MothershipProxy, CA: r.Settings.MothershipCA},
		Algorithms: []config.Route{},
	}
	routes.Queue, routes.Callbacks.Allow, routes.Auth = r.queueSettings(), r.Settings.CallbackAllow, r.Settings.Auth
	if r.Settings.OwnKey == config.OwnKeyAny {
		routes.OwnKey = config.OwnKeyAny // the default is left out: objects stay as they were
	}
	for _, a := range r.Plan.Algorithms {
		run := a.Runtime.WithDefaults()
		route := config.Route{
			VanityURL: a.VanityURL, Algorithm: a.Algorithm, SemanticVersion: a.SemanticVersion,
			Protocol: protocolOf(run), Port: run.Port, Path: run.Path, HealthPath: run.HealthPath,
			Concurrency: run.Concurrency, Replicas: r.Replicas(a), Service: r.names[a.VanityURL],
			HTTPSettings: run.HTTPSettings,
		}
		if bounds, ok := r.Scale(a); ok {
			route.Deployment, route.MinReplicas, route.MaxReplicas = r.names[a.VanityURL], &bounds.Least, bounds.Most
		}
		for _, s := range r.Plan.Schedules {
			if s.VanityURL == a.VanityURL {
				route.Schedules = append(route.Schedules, s)
			}
		}
		routes.Algorithms = append(routes.Algorithms, route.WithDefaults())
	}
	return routes
}

// protocolOf is how the engine calls a replica: a runner makes a pipe image
// speak the langserver's protocol.
func protocolOf(run constellation.Runtime) constellation.Protocol {
	if run.Protocol == constellation.ProtocolPipe {
		return constellation.ProtocolLangserver
	}
	return run.Protocol
}

// keys is the engine's keys.json: the satellite's keys, and the one that its
// own algorithms call each other with.
func (r *renderer) keys() *config.Keys {
	keys := &config.Keys{Version: r.Plan.Satellite.AccessVersion, ExpiresAt: r.Plan.Satellite.ExpiresAt, Keys: []config.Key{}}
	for _, k := range r.Plan.Keys {
		key := config.Key{ID: k.ID, Name: k.Name, SHA256: k.SHA256, Algorithms: k.Algorithms, Rate: k.Rate}
		if k.ExpiresAt != nil {
			key.ExpiresAt = *k.ExpiresAt
		}
		keys.Keys = append(keys.Keys, key)
	}
	keys.Keys = append(keys.Keys, config.Key{
		ID: config.InternalKeyID, Name: "the satellite's own algorithms", SHA256: config.HashKey(r.Plan.InternalKey()),
	})
	return keys
}
