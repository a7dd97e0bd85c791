package constellation

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

func (s PodSettings) checkVolumes(v *Validation, field string) {
	if len(s.Volumes) > MaxVolumes {
		v.Add(field, "an algorithm has at most %d volumes; these are %d", MaxVolumes, len(s.Volumes))
		return
	}
	first := map[string]int{}
	var mounts []Mount
	for i, volume := range s.Volumes {
		at := fmt.Sprintf("%s[%d]", field, i)
		volume.check(v, at)
		if earlier, ok := first[volume.Name]; ok {
			v.Add(at+".name", "the name %q is that of %s[%d] already; give another", shorten(volume.Name), field, earlier)
		}
		first[volume.Name] = i
		mounts = append(mounts, Mount{at + ".mount_path", volume.MountPath})
	}
	CheckMounts(v, mounts)
}

// CheckVolumeName adds to v what keeps name from being that of a volume.
func CheckVolumeName(v *Validation, field, name string) {
	if len(name) > MaxVolumeName || !volumeName.MatchString(name) {
		v.Add(field, "the name of a volume has 1 to %d lower-case letters, digits and '-', and starts and ends with a letter or digit; not %q", MaxVolumeName, shorten(name))
	}
}

func (volume Volume) check(v *Validation, at string) {
	CheckVolumeName(v, at+".name", volume.Name)
	volume.checkPath(v, at+".mount_path")
	if !slices.Contains(volumeTypes, volume.Type) {
		v.Add(at+".type", "the type of a volume is %s; not %q", strings.Join(volumeTypes, ", "), shorten(volume.Type))
		return
	}
	if volume.Type != VolumeEmpty && (volume.Size != "" || volume.Memory) {
		v.Add(at+".size", "size and memory are of a volume of type %s alone; a %s has the size that it has", VolumeEmpty, volume.Type)
	}
	switch volume.Type {
	case VolumePVC:
		checkSource(v, at+".source", "a PersistentVolumeClaim", volume.Source)
	case VolumeSecret:
		checkSource(v, at+".source", "a Secret", volume.Source)
	case VolumeConfigMap:
		checkSource(v, at+".source", "a ConfigMap", volume.Source)
	case VolumeEmpty:
		volume.checkEmpty(v, at)
	}
}

func (volume Volume) checkEmpty(v *Validation, at string) {
	switch {
	case volume.Source != "":
		v.Add(at+".source", "a volume of type %s has no source: it starts empty", VolumeEmpty)
	case volume.ReadOnly:
		v.Add(at+".read_only", "a volume of type %s that cannot be written to would stay empty", VolumeEmpty)
	case volume.Size == "" && volume.Memory:
		v.Add(at+".size", "a volume in memory needs a size, such as 1Gi: without one it could take all memory of its node")
	case volume.Size != "" && !sizeOf.MatchString(volume.Size):
		v.Add(at+".size", "a size is a whole number and a unit, such as 512Mi or 2Gi; not %q", shorten(volume.Size))
	}
}

// Mount is a path at which something is mounted, and the field that says so.
type Mount struct{ Field, Path string }

// CheckMounts adds to v which mounts are at or beneath another: which of them was
// seen would depend on the order in which they are mounted.
func CheckMounts(v *Validation, mounts []Mount) {
	for i, m := range mounts {
		for _, other := range mounts[:i] {
			if m.Path == "" || other.Path == "" || !within(m.Path, other.Path) && !within(other.Path, m.Path) {
				continue
			}
			v.Add(m.Field, "%s and %s, of %s, overlap; mount beside each other", shorten(m.Path), shorten(other.Path), other.Field)
			break
		}
	}
}

// within reports whether a path is folder, or beneath it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}

// reservedFolders are those at and beneath which nothing may be mounted, and why.
var reservedFolders = []struct{ path, why string }{
	{"/tmp/algoout", "algorithms answer through it"},
	{"/constellation", "the runner is there"},
	{"/proc", "it is the system's"},
	{"/sys", "it is the system's"},
	{"/dev", "it is the system's, but for /dev/shm"},
	{"/var/run/secrets/kubernetes.io", "it is Kubernetes' own"},
}

// reservedPaths are those at which nothing may be mounted: images need what they
// have there.
var reservedPaths = []string{"/", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/bin", "/usr/lib", "/var", "/var/run", "/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}

// CheckMountPath adds to v what keeps p from being a path at which something is
// mounted into an algorithm: its form, or that something else is there.
func CheckMountPath(v *Validation, field, p string) {
	switch {
	case len(p) > MaxMountPath || !strings.HasPrefix(p, "/") || strings.ContainsFunc(p, IsInvisible) || strings.ContainsAny(p, ":\\"):
		v.Add(field, "a mount path starts with '/', has at most %d characters, and no ':' or '\\'; not %q", MaxMountPath, shorten(p))
		return
	case path.Clean(p) != p:
		v.Add(field, "a mount path has no '..', '.', '//' or '/' at its end: write %s instead of %q", shorten(path.Clean(p)), shorten(p))
		return
	case slices.Contains(reservedPaths, p):
		v.Add(field, "nothing is mounted at %s: it would hide what the image has there; mount at a folder of its own, such as /data", p)
		return
	}
	for _, folder := range reservedFolders {
		if within(p, folder.path) && p != "/dev/shm" {
			v.Add(field, "nothing is mounted at %s: %s; mount at another folder, such as /data", shorten(p), folder.why)
			return
		}
	}
}

func (volume Volume) checkPath(v *Validation, field string) {
	CheckMountPath(v, field, volume.MountPath)
	if volume.MountPath == "/tmp" && (volume.Type == VolumeSecret || volume.Type == VolumeConfigMap || volume.ReadOnly) {
		v.Add(field, "what is mounted at /tmp has to be writable: algorithms answer through /tmp/algoout")
	}
}

// CheckSettingsRoom adds to v when the settings of all algorithms of a satellite
// version are too large together for one plan.
func CheckSettingsRoom(v *Validation, field string, settings []PodSettings) {
	total := 0
	for _, s := range settings {
		total += s.Bytes()
	}
	if total > MaxSettingsBytes {
		v.Add(field, "the variables and volumes of all algorithms have about %d bytes together, and there is room for %d; put what is large into ConfigMaps", total, MaxSettingsBytes)
	}
}
