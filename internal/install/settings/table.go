package settings

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// setting is one key of the configuration.
type setting struct {
	key      string // "<name>" stands for a part that the operator chooses
	about    string // what it is, for a help text
	required bool
	standard string // what holds when it is not set
	text     bool   // written as a YAML string
	check    func(value string) (normal string, err error)
	at       string // its place in the file, where that is not its key
	file     bool   // names a file of this machine, or a list of them
	form     string // of a text, for the schema: a regular expression that RE2 and ECMA-262 read alike

	node func(value string) (*yaml.Node, error) // of a value that is more than one word; nil for one that is
}

// path returns the place of a key that has no open part.
func (s setting) path() []string { return strings.Split(cmp.Or(s.at, s.key), ".") }

// queueState is where stage.queue itself is written: what is beneath it has the
// same name.
const queueState = "stage.queue.state"

// Keys in which the operator chooses a name behind a vanity URL.
const (
	envKey     = "stage.env.<vanity>.<variable>"
	envFromKey = "stage.env_from.<vanity>.<variable>"
	secretsKey = "stage.secrets.<vanity>.<variable>"
	volumesKey = "stage.volumes.<vanity>.<volume>"
)

const egressKey = "stage.egress.<vanity>"

// table is the table of every key, in the order in which they are shown.
var table = slices.Concat(ownTable, placementTable())

var ownTable = []setting{
	{key: "stage.container_registry", about: "the cluster's private registry, host[:port]/path", required: true, text: true, check: checkRegistry, form: formRegistry},
	{key: "stage.kubernetes.kubeconfig_path", about: "the kubeconfig of the target cluster, a file or a list as in KUBECONFIG", required: true, text: true, check: checkKubeconfigPath, file: true},
	{key: "stage.kubernetes.context", about: "its context, if not the current one", text: true, check: anything},
	{key: "stage.kubernetes.namespace", about: "where all of the launch goes; one launch a namespace", required: true, text: true, check: checkNamespace, form: formLabel},
	{key: "stage.kubernetes.create_namespace", about: "make the namespace if it is not there: true, false", standard: "false", check: checkBool},
	{key: "stage.fqdn", about: "the mothership as the cluster reaches it, for heartbeats: host[:port] or a URL", text: true, check: checkFQDN, form: formMothership},
	{key: "stage.ingress.provider", about: "the kind of ingress controller: " + strings.Join(render.Providers, ", "), standard: "generic", text: true, check: oneOf(render.Providers...)},
	{key: "stage.ingress.class", about: "the ingress class, if not the provider's", text: true, check: checkClass, form: formName},
	{key: "stage.ingress.host", about: "the host name of calls; unset takes any", text: true, check: checkHost, form: formHost},
	{key: "stage.ingress.tls_secret", about: "a Secret of the namespace with the host's certificate", text: true, check: checkSecret, form: formName},
	{key: "stage.ingress.annotations.<name>", about: "further annotations of the Ingress", text: true, check: anything},
	{key: "stage.registry.layout", about: "one repository for all algorithms, or one each: single, per-image", standard: "single", text: true, check: oneOf("single", "per-image")},
	{key: "stage.registry.pull_secret", about: "what pods pull with: create (from the docker login), existing:NAME, none", standard: "create", text: true, check: checkPullSecret, form: formPullSecret},
	{key: "stage.registry.insecure", about: "plain HTTP, or an unchecked certificate: true, false", standard: "false", check: checkBool},
	{key: "stage.registry.ca_file", about: "the registry's own certificate authority, a PEM file", text: true, check: checkPath, file: true},
	{key: "stage.profile", about: "ha (two engines and three queue nodes) or edge (one pod)", standard: "ha", text: true, check: oneOf("ha", "edge")},
	{key: "stage.queue", at: queueState, about: "take calls that outlive their caller, which a queue on disk keeps: on, off", standard: queueDefault, text: true, check: oneOf("on", "off")},
	{key: "stage.queue.storage", about: "what the queue's disk outlives: persistent (its pods), ephemeral (nothing), auto (persistent where the cluster has a default StorageClass)", standard: "auto", text: true, check: oneOf("auto", "persistent", "ephemeral")},
	{key: "stage.queue.storage_class", about: "the StorageClass of its volumes, if not the cluster's default", text: true, check: checkStorageClass, form: formName},
	{key: "stage.queue.size", about: "the size of each of its volumes", standard: render.DefaultQueueSize, text: true, check: checkQueueSize, form: formQuantity},
	{key: "stage.queue.keep", about: "how long results stay, such as 90m, 24h or 7d", standard: "24h", text: true, check: checkKeep, form: formKeep},
	{key: "stage.queue.share", about: "how much of an algorithm's slots waiting durable calls get at the least", standard: "20%", text: true, check: checkShare, form: formShare},
	{key: "stage.queue.retry_timeouts", about: "whether a durable call that ran out of time is tried again, as one whose replica went: on, off", standard: "off", text: true, check: oneOf("on", "off")},
	{key: "stage.callbacks.allow", about: "where results may be sent beyond public addresses: none, or host names and address ranges with commas between them", standard: "none", text: true, check: checkCallbacks, form: formTargets},
	{key: "stage.replicas.<vanity>", about: "replicas of an algorithm here, instead of the satellite's: a number that stays, or MIN..MAX that follows the load", check: checkReplicas, form: formReplicas},
	{key: "stage.resources.engine.cpu", about: "each engine's processors", standard: "100m", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.engine.cpu_limit", about: "their limit, for a quota that wants one", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.engine.memory", about: "each engine's memory, asked for and its limit; unset asks for 64Mi and is limited to 1Gi", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.queue.cpu", about: "each queue node's processors", standard: "100m", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.queue.cpu_limit", about: "their limit, for a quota that wants one", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.queue.memory", about: "each queue node's memory, asked for and its limit; unset asks for 128Mi and is limited to 512Mi", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.<vanity>.cpu", about: "its processors, such as 500m or 2", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.<vanity>.cpu_limit", about: "their limit, for a quota that wants one, such as 2", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.<vanity>.memory", about: "its memory, such as 2Gi", text: true, check: checkQuantity, form: formQuantity},
	{key: "stage.resources.<vanity>.gpu", about: "its GPUs, such as 1", check: checkGPU},
	{key: envKey, about: "a variable of an algorithm here, over the satellite's; for secrets see --secret", text: true, check: checkEnv},
	{key: envFromKey, about: "a variable from the cluster: secret:NAME/KEY or configmap:NAME/KEY; without /KEY, every key is one", text: true, check: checkEnvFrom, form: formEnvFrom},
	{key: secretsKey, about: "a variable whose value 'configure --secret' put into the cluster: typed", text: true, check: checkTyped, form: `^typed$`},
	{key: volumesKey, about: "a volume here: pvc:CLAIM:/path[:ro], empty[:SIZE]:/path[:memory], secret:NAME:/path or configmap:NAME:/path", text: true, check: checkVolume, form: formVolume},
	{key: "stage.weights.mount", about: "how pods get the weights of models: image (a volume that the kubelet mounts), copy (unpacked by an init container), auto (image where the cluster can)", standard: render.WeightsAuto, text: true, check: oneOf(render.WeightsAuto, render.WeightsImage, render.WeightsCopy)},
	{key: "stage.weights.cache", about: "where they are unpacked: none (each pod's own folder), pvc:CLAIM (once, in a volume that pods share)", standard: cacheNone, text: true, check: checkCache, form: formCache},
	{key: "stage.mothership.proxy", about: "the HTTP proxy of heartbeats", text: true, check: checkProxy, form: formProxy},
	{key: "stage.mothership.ca_file", about: "the mothership's own certificate authority, a PEM file", text: true, check: checkPath, file: true},
	{key: egressKey, about: "all that an algorithm may reach beside its satellite, over the network of its image: HOST:PORT, ADDRESS:PORT or RANGE:PORT with commas between them", text: true, check: checkEgress, form: formEgress},
	{key: "stage.metrics.allow", about: "who may read the engines' metrics, port 9090: none, any, or namespaces and address ranges with commas between them", standard: "none", text: true, check: checkMetricsAllow, form: formNetworks},
	{key: "stage.metrics.service_monitor", about: "a ServiceMonitor of them, for the Prometheus Operator: off, on, or its labels, by which a Prometheus selects it, such as release=prometheus", standard: "off", text: true, check: checkMonitor, form: formMonitor},
	{key: "stage.metrics.pod_monitor", about: "a PodMonitor of them, in place of a ServiceMonitor: off, on, or its labels", standard: "off", text: true, check: checkMonitor, form: formMonitor},
	{key: "stage.tls.secret", about: "a Secret of the namespace, of type kubernetes.io/tls: the engine serves HTTPS with it, at the Service's port 443", text: true, check: checkSecret, form: formName},
	{key: "stage.tls.only", about: "from outside the launch by TLS alone, the Ingress too: true, false", standard: "false", check: checkBool},
	{key: "stage.auth.jwt.issuer", about: "whose tokens (JWT) are taken beside keys, exactly as their iss has it", text: true, check: checkIdentityText, form: formText},
	{key: "stage.auth.jwt.audience", about: "whom they are for, their aud; with commas between several", text: true, check: checkAudience, form: formAudience},
	{key: "stage.auth.jwt.jwks", about: "the issuer's public keys: an https URL, or configmap:NAME of the namespace", text: true, check: checkJWKS, form: formJWKS},
	{key: "stage.auth.jwt.ca_file", about: "the certificate authority of that URL, a PEM file", text: true, check: checkPath, file: true},
	{key: "stage.auth.jwt.algorithms_claim", about: "the claim that lists what a caller may call; unset lets each token call all", text: true, check: checkIdentityText, form: formText},
	{key: "stage.auth.jwt.algorithms_prefix", about: "what its entries begin with that are algorithms", text: true, check: checkIdentityText, form: formText},
	{key: "stage.auth.jwt.leeway", about: "by how much the issuer's clock may differ", standard: "60s", text: true, check: checkLeeway, form: formLeeway},
	{key: "stage.auth.client_ca", about: "whose client certificates are taken beside keys: configmap:NAME or secret:NAME of the namespace", text: true, check: checkClientCA, form: formClientCA},
	{key: "stage.auth.client_allow", about: "which of them may call what: all, or NAME=ALGORITHM with commas between them", standard: "all", text: true, check: checkClientAllow, form: formClientAllow},
	{key: "stage.own_key", about: "where the key works that algorithms call each other with: pods (theirs alone), any", standard: "pods", text: true, check: oneOf("pods", "any")},
	{key: "stage.heartbeat", about: "report to the mothership: on, off", standard: "on", text: true, check: oneOf("on", "off")},
}

// open returns what stands before and behind what the operator chooses of a key,
// and whether there is anything to choose.
func (s setting) open() (before, after string, open bool) {
	before, after, open = strings.Cut(s.key, "<")
	if s.named() {
		return before, "", open
	}
	_, after, _ = strings.Cut(after, ">")
	return before, after, open
}

// named reports whether the operator chooses a name behind a vanity URL.
func (s setting) named() bool { return strings.Count(s.key, "<") == 2 }

// find returns the setting of a key and the path of its value in the file. A
// vanity URL may have dots, so what the operator chose is matched whole; a name
// behind it has none.
func find(key string) (s setting, path []string, chosen string, ok bool) {
	if strings.HasPrefix(key, placement.Root+".") {
		return findPlacement(key)
	}
	for _, s := range table {
		before, after, open := s.open()
		switch {
		case !open && key == s.key:
			return s, s.path(), "", true
		case open && strings.HasPrefix(key, before) && strings.HasSuffix(key, after) && len(key) > len(before)+len(after):
			chosen := key[len(before) : len(key)-len(after)]
			path := append(strings.Split(strings.TrimSuffix(before, "."), "."), chosen)
			if s.named() {
				dot := strings.LastIndexByte(chosen, '.')
				if dot < 1 || dot == len(chosen)-1 {
					continue
				}
				path = append(path[:len(path)-1], chosen[:dot], chosen[dot+1:])
			}
			if after != "" {
				path = append(path, strings.TrimPrefix(after, "."))
			}
			return s, path, chosen, true
		}
	}
	return setting{}, nil, "", false
}

// settingKeys returns every key of the table.
func settingKeys() []string {
	keys := make([]string, len(table))
	for i, s := range table {
		keys[i] = s.key
	}
	return keys
}

// Setting is a key of the configuration, for a help text.
type Setting struct {
	Key      string // "<vanity>" and "<name>" stand for what the operator chooses
	About    string
	Required bool
	Default  string // "" for none
}

// All returns every key of the configuration, in the order of the table
// that configure shows.
func All() []Setting {
	var list []Setting
	for _, s := range table {
		list = append(list, Setting{Key: s.key, About: s.about, Required: s.required, Default: s.standard})
	}
	return list
}
