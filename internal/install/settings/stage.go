package settings

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Config is config.yaml: what the operator set with configure. It holds no
// secret.
type Config struct {
	Stage Stage `yaml:"stage"`
}

// Stage is the target that a launch is deployed to.
type Stage struct {
	ContainerRegistry string               `yaml:"container_registry"`
	Kubernetes        Kubernetes           `yaml:"kubernetes"`
	FQDN              string               `yaml:"fqdn"`
	Ingress           Ingress              `yaml:"ingress"`
	Registry          Registry             `yaml:"registry"`
	Profile           string               `yaml:"profile"`
	Queue             Queue                `yaml:"queue"`
	Callbacks         Callbacks            `yaml:"callbacks"`
	Replicas          map[string]Replicas  `yaml:"replicas"`
	Resources         map[string]Resources `yaml:"resources"`
	Env               Named                `yaml:"env"`
	EnvFrom           Named                `yaml:"env_from"`
	Secrets           Named                `yaml:"secrets"`
	Volumes           Named                `yaml:"volumes"`
	Mothership        Mothership           `yaml:"mothership"`
	Metrics           Metrics              `yaml:"metrics"`
	Egress            map[string]string    `yaml:"egress"`
	Placement         map[string]any       `yaml:"placement"` // as placement.Parse reads it
	TLS               TLS                  `yaml:"tls"`
	Auth              Auth                 `yaml:"auth"`
	OwnKey            string               `yaml:"own_key"`
	Heartbeat         string               `yaml:"heartbeat"`
	Weights           Weights              `yaml:"weights"`
}

// Replicas is how many replicas an algorithm has here, as render.ParseReplicas
// reads it.
type Replicas string

// UnmarshalYAML takes what ParseReplicas can read, and nothing else.
func (r *Replicas) UnmarshalYAML(node *yaml.Node) error {
	if _, _, err := render.ParseReplicas(node.Value); node.Kind != yaml.ScalarNode || err != nil {
		text := fmt.Sprintf("line %d: cannot unmarshal %s", node.Line, node.ShortTag())
		if node.Kind == yaml.ScalarNode {
			text += " `" + node.Value + "`"
		}
		return &yaml.TypeError{Errors: []string{text + " into replicas"}}
	}
	*r = Replicas(node.Value)
	return nil
}

// Metrics is who may read the engines' metrics, and how Prometheus learns of them.
type Metrics struct {
	Allow          string `yaml:"allow"`
	ServiceMonitor string `yaml:"service_monitor"`
	PodMonitor     string `yaml:"pod_monitor"`
}

// Mothership is the engines' way to the mothership.
type Mothership struct {
	Proxy  string `yaml:"proxy"`
	CAFile string `yaml:"ca_file"`
}

// Kubernetes is the cluster.
type Kubernetes struct {
	KubeconfigPath  string `yaml:"kubeconfig_path"`
	Context         string `yaml:"context"`
	Namespace       string `yaml:"namespace"`
	CreateNamespace bool   `yaml:"create_namespace"`
}

// Ingress is the way in from outside the cluster.
type Ingress struct {
	Provider    string            `yaml:"provider"`
	Class       string            `yaml:"class"`
	Host        string            `yaml:"host"`
	TLSSecret   string            `yaml:"tls_secret"`
	Annotations map[string]string `yaml:"annotations"`
}

// Registry is how images get into the registry and out of it.
type Registry struct {
	Layout     string `yaml:"layout"`
	PullSecret string `yaml:"pull_secret"`
	Insecure   *bool  `yaml:"insecure"` // nil is not set: plain HTTP for a registry of this machine alone
	CAFile     string `yaml:"ca_file"`
}

// RegistryConfig returns which registry the stage has, and how it is reached.
func (s Stage) RegistryConfig() registry.Config {
	return registry.Config{Address: s.ContainerRegistry, Insecure: s.Registry.Insecure, CAFile: s.Registry.CAFile}
}

// Resources are one algorithm's overrides, or the engine's.
type Resources struct {
	CPU      string `yaml:"cpu"`
	CPULimit string `yaml:"cpu_limit"`
	Memory   string `yaml:"memory"`
	GPU      *int   `yaml:"gpu"`
}

// defaultConfig is what is not set.
func defaultConfig() Config {
	return Config{Stage: Stage{
		Ingress:   Ingress{Provider: "generic"},
		Registry:  Registry{Layout: "single", PullSecret: "create"},
		Profile:   "ha",
		Queue:     Queue{State: queueDefault, Storage: "auto"},
		OwnKey:    "pods",
		Heartbeat: "on",
		Weights:   Weights{Mount: render.WeightsAuto, Cache: cacheNone},
	}}
}

// HeartbeatURL returns where the satellite reports to: stage.fqdn, else where the
// plan comes from; nowhere when heartbeats are off.
func (s Stage) HeartbeatURL(planURL string) string {
	switch {
	case s.Heartbeat == "off":
		return ""
	case s.FQDN == "":
		return planURL
	case strings.Contains(s.FQDN, "://"):
		return s.FQDN
	case strings.HasPrefix(planURL, "http://"):
		return "http://" + s.FQDN // the mothership says itself that it has no TLS
	}
	return "https://" + s.FQDN
}
