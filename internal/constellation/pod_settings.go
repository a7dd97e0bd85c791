package constellation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// What the pods of one algorithm are given beside their image, at most. All of it
// is in one Deployment, which etcd holds to 1.5 MB, and in the launch's plan.
const (
	MaxEnv           = 100    // variables
	MaxEnvName       = 128    // characters of a variable's name
	MaxEnvValue      = 32_768 // bytes of one value; Linux takes 128 KiB
	MaxEnvBytes      = 65_536 // bytes of all names and values
	MaxEnvFrom       = 50
	MaxVolumes       = 20
	MaxVolumeName    = 50 // characters, which leaves room in Kubernetes' 63
	MaxMountPath     = 255
	MaxSettingsBytes = 1_000_000 // of all algorithms of a satellite version
)

// PodSettings is what an algorithm's pods are given beside their image.
type PodSettings struct {
	Env     map[string]string `json:"env,omitempty"` // variables, by name
	EnvFrom []EnvFrom         `json:"env_from,omitempty"`
	Volumes []Volume          `json:"volumes,omitempty"`
}

// EnvFrom takes variables from a Secret or a ConfigMap of the launch's namespace:
// with Key one of its keys as the variable Name, else each key as the
// variable of its name.
type EnvFrom struct {
	Name      string `json:"name,omitempty"`
	Secret    string `json:"secret,omitempty"`
	ConfigMap string `json:"config_map,omitempty"`
	Key       string `json:"key,omitempty"`
}

// Volume is a folder of an algorithm's pods that is not of its image.
type Volume struct {
	Name      string `json:"name"`
	MountPath string `json:"mount_path"`
	Type      string `json:"type"`             // VolumePVC, VolumeEmpty, VolumeSecret or VolumeConfigMap
	Source    string `json:"source,omitempty"` // name of the claim, Secret or ConfigMap
	Size      string `json:"size,omitempty"`   // of VolumeEmpty: what it may hold; "" is no limit of its own
	Memory    bool   `json:"memory,omitempty"` // of VolumeEmpty: it is kept in memory
	ReadOnly  bool   `json:"read_only,omitempty"`
}

// Types of a Volume.
const (
	VolumePVC       = "pvc"       // a PersistentVolumeClaim that is there
	VolumeEmpty     = "empty"     // empty at first, and gone with its pod
	VolumeSecret    = "secret"    // a file a key
	VolumeConfigMap = "configmap" // a file a key
)

// Types that volumes have, in the order in which they are told.
var volumeTypes = []string{VolumePVC, VolumeEmpty, VolumeSecret, VolumeConfigMap}

// IsZero reports whether nothing is set.
func (s PodSettings) IsZero() bool {
	return len(s.Env) == 0 && len(s.EnvFrom) == 0 && len(s.Volumes) == 0
}

// Whole returns the settings with no part nil, for those who tell what is left out
// from what is empty.
func (s PodSettings) Whole() PodSettings {
	if s.Env == nil {
		s.Env = map[string]string{}
	}
	if s.EnvFrom == nil {
		s.EnvFrom = []EnvFrom{}
	}
	if s.Volumes == nil {
		s.Volumes = []Volume{}
	}
	return s
}

// Equal reports whether both set the same. The order of variables from elsewhere
// counts, since the last of a name holds, and that of volumes does not.
func (s PodSettings) Equal(other PodSettings) bool {
	byName := func(list []Volume) []Volume {
		return slices.SortedFunc(slices.Values(list), func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	}
	return maps.Equal(s.Env, other.Env) && slices.Equal(s.EnvFrom, other.EnvFrom) && slices.Equal(byName(s.Volumes), byName(other.Volumes))
}

// Bytes is about how much the settings take.
func (s PodSettings) Bytes() int {
	n := 0
	for name, value := range s.Env {
		n += len(name) + len(value) + 8
	}
	for _, f := range s.EnvFrom {
		n += len(f.Name) + len(f.Secret) + len(f.ConfigMap) + len(f.Key) + 48
	}
	for _, volume := range s.Volumes {
		n += len(volume.Name) + len(volume.MountPath) + len(volume.Source) + len(volume.Size) + 80
	}
	return n
}

var (
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	objectKey  = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,253}$`)
	volumeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	sizeOf     = regexp.MustCompile(`^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|k|M|G|T)?$`)
)

// Check adds to v what is wrong with the settings of the algorithm that field
// names and ends with a dot, or "". Whether what they name is in a cluster is
// for that cluster to say.
func (s PodSettings) Check(v *Validation, field string) {
	s.checkEnv(v, field+"env")
	s.checkEnvFrom(v, field+"env_from")
	s.checkVolumes(v, field+"volumes")
}

func (s PodSettings) checkEnv(v *Validation, field string) {
	if len(s.Env) > MaxEnv {
		v.Add(field, "an algorithm has at most %d variables; these are %d", MaxEnv, len(s.Env))
		return
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		at := field + "." + shorten(name)
		CheckEnvName(v, at, name)
		CheckEnvValue(v, at, s.Env[name])
		total += len(name) + len(s.Env[name])
	}
	if total > MaxEnvBytes {
		v.Add(field, "the variables of an algorithm have at most %d bytes together; these have %d: put what is large into a file of a ConfigMap or of a volume", MaxEnvBytes, total)
	}
}

// CheckEnvName adds to v what keeps name from being a variable of an algorithm:
// its form, or that the platform sets it.
func CheckEnvName(v *Validation, field, name string) {
	switch {
	case len(name) > MaxEnvName || !envName.MatchString(name):
		v.Add(field, "a variable's name has 1 to %d letters, digits and '_', and does not start with a digit; not %q", MaxEnvName, shorten(name))
	case strings.HasPrefix(name, "ALGORITHMIA_API"):
		v.Add(field, "%s is reserved: the platform sets it, so that algorithms can call each other", shorten(name))
	case strings.HasPrefix(name, "CONSTELLATION_"):
		v.Add(field, "%s is reserved: names that start with CONSTELLATION_ are the platform's own", shorten(name))
	}
}

// CheckEnvValue adds to v what keeps value from being that of a variable. The
// value itself is not repeated: it may be a secret.
func CheckEnvValue(v *Validation, field, value string) {
	switch {
	case len(value) > MaxEnvValue:
		v.Add(field, "the value of a variable has at most %d bytes; this one has %d: put it into a file of a Secret, ConfigMap or volume", MaxEnvValue, len(value))
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		v.Add(field, "the value of a variable is text in UTF-8 without NUL, and this one has other bytes: write it in base64, or put it into a file of a Secret")
	}
}

func (s PodSettings) checkEnvFrom(v *Validation, field string) {
	if len(s.EnvFrom) > MaxEnvFrom {
		v.Add(field, "an algorithm takes variables from at most %d places; these are %d", MaxEnvFrom, len(s.EnvFrom))
		return
	}
	first := map[EnvFrom]int{}
	for i, f := range s.EnvFrom {
		at := fmt.Sprintf("%s[%d]", field, i)
		f.check(v, at)
		if _, ok := s.Env[f.Name]; ok && f.Key != "" {
			v.Add(at+".name", "the variable %s has a value in env already; say one of both", shorten(f.Name))
		}
		same := EnvFrom{Name: f.Name}
		if f.Key == "" {
			same = f
		}
		if earlier, ok := first[same]; ok {
			v.Add(at, "this is said in %s[%d] already: %s", field, earlier, same.what())
		}
		first[same] = i
	}
}

// what names the variable, or all that is taken.
func (f EnvFrom) what() string {
	if f.Name != "" {
		return "the variable " + shorten(f.Name)
	}
	return "all of " + f.Place()
}

// Place names what is taken from, as messages do: secret:NAME or configmap:NAME.
func (f EnvFrom) Place() string {
	if f.Secret != "" {
		return VolumeSecret + ":" + f.Secret
	}
	return VolumeConfigMap + ":" + f.ConfigMap
}

func (f EnvFrom) check(v *Validation, at string) {
	switch {
	case (f.Secret == "") == (f.ConfigMap == ""):
		v.Add(at, "variables come from one place: give secret or config_map")
	case f.Secret != "":
		checkSource(v, at+".secret", "a Secret", f.Secret)
	default:
		checkSource(v, at+".config_map", "a ConfigMap", f.ConfigMap)
	}
	switch {
	case f.Key == "" && f.Name != "":
		v.Add(at+".key", "which key is the variable %s? Give key; without name and key, every key is a variable of its own name", shorten(f.Name))
	case f.Key == "":
	case !objectKey.MatchString(f.Key) || strings.HasPrefix(f.Key, ".."):
		v.Add(at+".key", "a key has 1 to 253 letters, digits, '-', '_' and '.'; not %q", shorten(f.Key))
	case f.Name == "":
		v.Add(at+".name", "which variable has the key's value? Give name")
	default:
		CheckEnvName(v, at+".name", f.Name)
	}
}

// ownObjects start the names of the launch's own Secrets, ConfigMaps and claims,
// which have its token, its keys and its queue.
var ownObjects = []string{"execution-engine", "algorithm-key", "algorithm-secrets", "registry-pull", "queue", "data-queue-", "constellation-"}

// IsOwnObject reports whether a Secret, ConfigMap or claim of that name is, or may
// come to be, one of the launch's own, which algorithms may not be given.
func IsOwnObject(name string) bool {
	return slices.ContainsFunc(ownObjects, func(own string) bool {
		return name == own || strings.HasPrefix(name, strings.TrimSuffix(own, "-")+"-")
	})
}

func checkSource(v *Validation, field, what, name string) {
	switch {
	case len(name) > 253 || !objectName.MatchString(name):
		v.Add(field, "the name of %s has 1 to 253 lower-case letters, digits, '-' and '.', and starts and ends with a letter or digit; not %q", what, shorten(name))
	case IsOwnObject(name):
		v.Add(field, "%s is the satellite's own, which algorithms may not read; name %s that you made", shorten(name), what)
	}
}
