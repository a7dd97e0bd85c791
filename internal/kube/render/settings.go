package render

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// FieldManager owns the fields that the installer applies.
const FieldManager = "algo-install"

// Names of the satellite's own objects. Users and scripts know them.
const (
	EngineName     = "execution-engine"
	AlgorithmKey   = "algorithm-key"
	PullSecretName = "registry-pull"
	InventoryName  = "constellation-inventory"
	denyName       = "default-deny"
)

// Labels that every object of a launch carries.
const (
	LabelSatellite = "constellation/satellite"
	LabelLaunch    = "constellation/launch"
	LabelVersion   = "constellation/version"
)

// Profiles: how much of the system runs.
const (
	ProfileHA   = "ha"   // two engines, and three nodes of the queue
	ProfileEdge = "edge" // one pod, with the queue in it
)

// Providers are the values of stage.ingress.provider.
var Providers = []string{"generic", "nginx", "traefik", "alb", "agic", "openshift", "none"}

// Settings is what the operator configured, as far as the cluster's objects
// depend on it.
type Settings struct {
	Namespace       string
	CreateNamespace bool
	Ingress         Ingress
	Profile         string
	PullSecret      string                      // name of the Secret that pods pull with; "" is none
	PullConfig      []byte                      // .dockerconfigjson, when the Secret is to be made
	Replicas        map[string]int              // by vanity URL, over the plan's; such counts stay
	Scale           map[string]Bounds           // by vanity URL, over the plan's; such counts follow the load
	Resources       map[string]Resources        // by vanity URL, over the image's
	Pods            map[string]PodOverrides     // by vanity URL, over the plan's
	SecretMarks     map[string]string           // by vanity URL: another for other secrets; see SecretsName
	Engine          Resources                   // the engine's own; it has no GPU
	OwnKey          string                      // where the satellite's own key works: config.OwnKeyPods or OwnKeyAny
	MetricsAllow    MetricsAllow                // besides the engines themselves
	Egress          map[string][]egress.Entry   // by vanity URL: all that it may reach beside the satellite
	EgressNames     map[string]egress.Addresses // of the names in these
	Monitor         Monitor                     // by which Prometheus learns of them
	PodMonitor      Monitor                     // the same, in another form
	MothershipURL   string                      // where heartbeats go; "" is nowhere
	MothershipProxy string                      // by which they go there; "" is none
	MothershipCA    string                      // whom they trust besides the system's, PEM
	Queue           Queue                       // of durable calls
	CallbackAllow   []string                    // where results may be sent beyond public addresses
	Weights         Weights                     // how algorithms get those that they read
	Placement       placement.Settings          // where pods run
	TLS             TLS                         // how the engine serves HTTPS
	Auth            config.Auth                 // who may call besides keys, as routes.json has it
	JWKSConfigMap   string                      // has the issuer's keys; "" is none
	ClientCA        Source                      // has the authorities of client certificates
}

// Ingress is how callers from outside reach the engine.
type Ingress struct {
	Provider    string
	Class       string
	Host        string
	TLSSecret   string
	Annotations map[string]string
}

// Resources are one algorithm's or the engine's, as Kubernetes quantities; ""
// and nil leave the image's own.
type Resources struct {
	CPU      string // that is asked for
	CPULimit string // "" is none
	Memory   string // that is asked for, and the limit
	GPU      *int
}

// Input is all that Render needs: it reads neither cluster nor disk.
type Input struct {
	Plan     *bundle.Plan
	Settings Settings
	APIs     APIs
	Images   map[string]string // repository@digest that pods run, by the plan's digest
	Users    map[string]string // user of each image's configuration, by the plan's digest

	// Stable names algorithms' objects by their vanity URL alone, for tools that
	// apply everything at once and let Deployments roll.
	Stable bool

	Processes map[string]Process // how each image starts, by the plan's digest
}

// Replicas returns how many pods of an algorithm are wanted, or how many it is
// started with where the count follows the load.
func (in Input) Replicas(a bundle.Algorithm) int {
	if bounds, ok := in.Scale(a); ok {
		return bounds.clamp(a.Replicas)
	}
	if n, ok := in.Settings.Replicas[a.VanityURL]; ok {
		return n
	}
	return a.Replicas
}

// engines returns how many engine pods the profile has.
func (in Input) engines() int {
	if in.Settings.Profile == ProfileEdge {
		return 1
	}
	return 2
}

// Pods returns how many pods the launch runs when all are up.
func (in Input) Pods() int {
	n := in.engines() + in.queueNodes()
	for _, a := range in.Plan.Algorithms {
		n += in.Replicas(a)
	}
	return n
}

// revisionLength is that of the "-1a2b3c4d" behind an algorithm's name.
const revisionLength = 9

// AlgorithmName returns the stem of the names of a vanity URL's objects: a
// DNS-1035 label that leaves room for a revision in 63 characters. A vanity
// URL that is more than lower-case letters, digits and slashes gets a hash
// behind two hyphens, which no other has, so that no two share a name and a
// name never depends on its neighbours.
func AlgorithmName(vanityURL string) string {
	const prefix, longest, hashed = "algo-", 63 - revisionLength, 14
	var b strings.Builder
	plain := true
	for _, r := range strings.ToLower(vanityURL) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			plain = plain && r == '/'
			if !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
	}
	slug := strings.Trim(b.String(), "-")
	if plain && vanityURL == strings.ToLower(vanityURL) && len(prefix+slug) <= longest {
		return prefix + slug
	}
	sum := sha256.Sum256([]byte(vanityURL))
	slug = strings.TrimRight(slug[:min(len(slug), longest-len(prefix)-hashed)], "-")
	return prefix + slug + "--" + hex.EncodeToString(sum[:])[:hashed-2]
}
