package install

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"
)

// Config is config.yaml: what the operator set with configure. It holds no
// secret.
type Config struct {
	Stage Stage `yaml:"stage"`
}

// Stage is the target that a launch is deployed to.
type Stage struct {
	ContainerRegistry string               `yaml:"container_registry"`
	Kubernetes        KubernetesConfig     `yaml:"kubernetes"`
	FQDN              string               `yaml:"fqdn"`
	Ingress           IngressConfig        `yaml:"ingress"`
	Registry          RegistryConfig       `yaml:"registry"`
	Profile           string               `yaml:"profile"`
	Replicas          map[string]int       `yaml:"replicas"`
	Resources         map[string]Resources `yaml:"resources"`
	Mothership        MothershipConfig     `yaml:"mothership"`
	Heartbeat         string               `yaml:"heartbeat"`
}

// MothershipConfig is the engines' way to the mothership.
type MothershipConfig struct {
	Proxy  string `yaml:"proxy"`
	CAFile string `yaml:"ca_file"`
}

// KubernetesConfig is the cluster.
type KubernetesConfig struct {
	KubeconfigPath  string `yaml:"kubeconfig_path"`
	Context         string `yaml:"context"`
	Namespace       string `yaml:"namespace"`
	CreateNamespace bool   `yaml:"create_namespace"`
}

// IngressConfig is the way in from outside the cluster.
type IngressConfig struct {
	Provider    string            `yaml:"provider"`
	Class       string            `yaml:"class"`
	Host        string            `yaml:"host"`
	TLSSecret   string            `yaml:"tls_secret"`
	Annotations map[string]string `yaml:"annotations"`
}

// RegistryConfig is how images get into the registry and out of it.
type RegistryConfig struct {
	Layout     string `yaml:"layout"`
	PullSecret string `yaml:"pull_secret"`
	Insecure   bool   `yaml:"insecure"`
	CAFile     string `yaml:"ca_file"`
}

// Resources are one algorithm's overrides.
type Resources struct {
	CPU    string `yaml:"cpu"`
	Memory string `yaml:"memory"`
	GPU    *int   `yaml:"gpu"`
}

// defaultConfig is what is not set.
func defaultConfig() Config {
	return Config{Stage: Stage{
		Ingress:   IngressConfig{Provider: "generic"},
		Registry:  RegistryConfig{Layout: "single", PullSecret: "create"},
		Profile:   "ha",
		Heartbeat: "on",
	}}
}

// configFile is the launch's configuration with the operator's comments.
type configFile struct {
	document yaml.Node
	Config
}

// readConfig reads config.yaml; one that is not there has the defaults.
func readConfig(f Folder) (*configFile, error) {
	path := f.Path("config.yaml")
	c := &configFile{Config: defaultConfig()}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, wrap(err, CodeFailed, "read the configuration")
	}
	if err := yaml.Unmarshal(data, &c.document); err != nil {
		return nil, handEdited(path, err)
	}
	if err := c.decode(data); err != nil {
		return nil, handEdited(path, err)
	}
	return c, nil
}

func (c *configFile) decode(data []byte) error {
	c.Config = defaultConfig()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c.Config); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// set writes a value at a path, "" removing it; comments stay.
func (c *configFile) set(path []string, value string, isText bool) {
	if c.document.Kind == 0 {
		c.document = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	at := c.document.Content[0]
	if at.Kind != yaml.MappingNode {
		*at = yaml.Node{Kind: yaml.MappingNode, HeadComment: at.HeadComment}
	}
	for _, key := range path[:len(path)-1] {
		next := child(at, key)
		if next == nil || next.Kind != yaml.MappingNode {
			if value == "" {
				return
			}
			removeChild(at, key)
			next = &yaml.Node{Kind: yaml.MappingNode}
			at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, next)
		}
		at = next
	}
	key := path[len(path)-1]
	if value == "" {
		removeChild(at, key)
		return
	}
	scalar := yaml.Node{Kind: yaml.ScalarNode, Value: value}
	if isText {
		scalar.SetString(value)
	}
	if old := child(at, key); old != nil {
		scalar.LineComment, scalar.HeadComment, scalar.FootComment = old.LineComment, old.HeadComment, old.FootComment
		*old = scalar
		return
	}
	at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &scalar)
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func removeChild(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i:i], mapping.Content[i+2:]...)
			return
		}
	}
}

// get gives what the file says at a path, "" when it says nothing.
func (c *configFile) get(path []string) string {
	if c.document.Kind == 0 {
		return ""
	}
	at := c.document.Content[0]
	for _, key := range path {
		if at = child(at, key); at == nil {
			return ""
		}
	}
	return at.Value
}

// bytes gives the file as it is written.
func (c *configFile) bytes() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&c.document); err != nil {
		return nil, wrap(err, CodeFailed, "write the configuration")
	}
	return b.Bytes(), nil
}
