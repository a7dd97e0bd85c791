package constellation

// Weights are what an algorithm version holds that is no code but files which
// algorithms read, such as those of a model.
type Weights struct {
	Form WeightsForm `json:"form"`
	// UnpackedSize is how many bytes all files have together.
	UnpackedSize int64 `json:"unpacked_size"`
	Files        int   `json:"files"`
}

// WeightsForm is what the artifact of weights looks like.
type WeightsForm string

// The forms. A cluster can mount an image as a volume; files are unpacked.
const (
	WeightsImage WeightsForm = "image" // an image whose layers are archives
	WeightsFiles WeightsForm = "files" // an artifact with a file a layer
)

// VersionKind is what an algorithm version holds.
type VersionKind string

// The kinds.
const (
	CodeVersion    VersionKind = "algorithm"
	WeightsVersion VersionKind = "weights"
)

// Kind returns what the version holds.
func (v *AlgorithmVersion) Kind() VersionKind {
	if v.Weights != nil {
		return WeightsVersion
	}
	return CodeVersion
}

// WeightsMount is weights that an algorithm reads, and where.
type WeightsMount struct {
	Artifact AlgorithmRef
	Path     string // in the algorithm's container, read-only
}

// MaxWeights is how many weights one algorithm of a satellite reads.
const MaxWeights = 8

// CheckWeightsPaths adds to v which of an algorithm's weights are too many, or at a
// path that is none or overlaps another's or a volume's. field names the weights
// of an index.
func CheckWeightsPaths(v *Validation, field func(i int) string, paths []string, volumes []Volume) {
	if len(paths) > MaxWeights {
		v.Add(field(MaxWeights), "an algorithm reads at most %d weights; these are %d", MaxWeights, len(paths))
		return
	}
	var others []Mount
	for _, volume := range volumes {
		others = append(others, Mount{"the volume " + volume.Name, volume.MountPath})
	}
	for i, p := range paths {
		m := Mount{field(i) + ".path", p}
		CheckMountPath(v, m.Field, p)
		for _, other := range others {
			CheckMounts(v, []Mount{other, m})
		}
		others = append(others, m)
	}
}
