package constellation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// good has one of each.
func goodSettings() constellation.PodSettings {
	return constellation.PodSettings{
		Env: map[string]string{"LEVEL": "debug", "EMPTY": "", "_x1": "two\nlines $(HOME) ü"},
		EnvFrom: []constellation.EnvFrom{
			{Secret: "hub"}, {ConfigMap: "hub"}, {Name: "TOKEN", Secret: "hub", Key: "token.v1"},
		},
		Volumes: []constellation.Volume{
			{Name: "models", Type: constellation.VolumePVC, Source: "models", MountPath: "/models", ReadOnly: true},
			{Name: "shm", Type: constellation.VolumeEmpty, Size: "1Gi", Memory: true, MountPath: "/dev/shm"},
			{Name: "scratch", Type: constellation.VolumeEmpty, MountPath: "/tmp"},
			{Name: "labels", Type: constellation.VolumeConfigMap, Source: "labels.v1", MountPath: "/etc/labels"},
			{Name: "keys", Type: constellation.VolumeSecret, Source: "keys", MountPath: "/opt/keys"},
		},
	}
}

func TestPodSettingsCheck(t *testing.T) {
	t.Parallel()
	var v constellation.Validation
	goodSettings().Check(&v, "")
	if err := v.Err(); err != nil {
		t.Errorf("Check = %v, want nothing", err)
	}
	volume := func(change func(v *constellation.Volume)) func(s *constellation.PodSettings) {
		return func(s *constellation.PodSettings) { change(&s.Volumes[0]) }
	}
	many := func(n, size int) map[string]string {
		env := map[string]string{}
		for i := range n {
			env[fmt.Sprintf("V%d", i)] = strings.Repeat("x", size)
		}
		return env
	}
	for _, test := range []struct {
		field, want string
		change      func(s *constellation.PodSettings)
	}{
		{"env.A-B", "letters, digits and '_'", func(s *constellation.PodSettings) { s.Env["A-B"] = "" }},
		{"env.1A", "does not start with a digit", func(s *constellation.PodSettings) { s.Env["1A"] = "" }},
		{"env.", "letters, digits and '_'", func(s *constellation.PodSettings) { s.Env[""] = "" }},
		{"env.ALGORITHMIA_API", "reserved", func(s *constellation.PodSettings) { s.Env["ALGORITHMIA_API"] = "http://x" }},
		{"env.ALGORITHMIA_API_KEY", "reserved", func(s *constellation.PodSettings) { s.Env["ALGORITHMIA_API_KEY"] = "x" }},
		{"env.CONSTELLATION_LOG", "reserved", func(s *constellation.PodSettings) { s.Env["CONSTELLATION_LOG"] = "x" }},
		{"env.NUL", "without NUL", func(s *constellation.PodSettings) { s.Env["NUL"] = "a\x00b" }},
		{"env.BYTES", "UTF-8", func(s *constellation.PodSettings) { s.Env["BYTES"] = "a\xff" }},
		{"env.LONG", "at most 32768 bytes; this one has 32769", func(s *constellation.PodSettings) { s.Env["LONG"] = strings.Repeat("x", 32769) }},
		{"env", "at most 100 variables; these are 101", func(s *constellation.PodSettings) { s.Env = many(101, 1) }},
		{"env", "at most 65536 bytes together", func(s *constellation.PodSettings) { s.Env = many(3, 30000) }},
		{"env_from[3]", "one place", func(s *constellation.PodSettings) { s.EnvFrom = append(s.EnvFrom, constellation.EnvFrom{}) }},
		{"env_from[0]", "one place", func(s *constellation.PodSettings) { s.EnvFrom[0].ConfigMap = "x" }},
		{"env_from[0].secret", "lower-case", func(s *constellation.PodSettings) { s.EnvFrom[0].Secret = "Hub" }},
		{"env_from[0].secret", "the satellite's own", func(s *constellation.PodSettings) { s.EnvFrom[0].Secret = "execution-engine" }},
		{"env_from[0].secret", "the satellite's own", func(s *constellation.PodSettings) { s.EnvFrom[0].Secret = "algorithm-key" }},
		{"env_from[2].key", "a key has", func(s *constellation.PodSettings) { s.EnvFrom[2].Key = "../x" }},
		{"env_from[2].key", "which key", func(s *constellation.PodSettings) { s.EnvFrom[2].Key = "" }},
		{"env_from[2].name", "which variable", func(s *constellation.PodSettings) { s.EnvFrom[2].Name = "" }},
		{"env_from[2].name", "reserved", func(s *constellation.PodSettings) { s.EnvFrom[2].Name = "ALGORITHMIA_API" }},
		{"env_from[2].name", "has a value in env already", func(s *constellation.PodSettings) { s.Env["TOKEN"] = "x" }},
		{"env_from[3]", "env_from[2] already: the variable TOKEN", func(s *constellation.PodSettings) {
			s.EnvFrom = append(s.EnvFrom, constellation.EnvFrom{Name: "TOKEN", ConfigMap: "x", Key: "y"})
		}},
		{"env_from[3]", "env_from[0] already: all of secret:hub", func(s *constellation.PodSettings) { s.EnvFrom = append(s.EnvFrom, s.EnvFrom[0]) }},
		{"volumes[0].name", "lower-case", volume(func(v *constellation.Volume) { v.Name = "Models" })},
		{"volumes[0].name", "1 to 50", volume(func(v *constellation.Volume) { v.Name = strings.Repeat("x", 51) })},
		{"volumes[1].name", "volumes[0] already", volume(func(v *constellation.Volume) { v.Name = "shm" })},
		{"volumes[0].type", "pvc, empty, secret, configmap", volume(func(v *constellation.Volume) { v.Type = "hostPath" })},
		{"volumes[0].source", "a PersistentVolumeClaim", volume(func(v *constellation.Volume) { v.Source = "" })},
		{"volumes[0].source", "the satellite's own", volume(func(v *constellation.Volume) { v.Source = "data-queue-0" })},
		{"volumes[0].size", "alone", volume(func(v *constellation.Volume) { v.Size = "1Gi" })},
		{"volumes[1].size", "needs a size", func(s *constellation.PodSettings) { s.Volumes[1].Size = "" }},
		{"volumes[1].size", "a whole number and a unit", func(s *constellation.PodSettings) { s.Volumes[1].Size = "-1Gi" }},
		{"volumes[1].source", "starts empty", func(s *constellation.PodSettings) { s.Volumes[1].Source = "x" }},
		{"volumes[1].read_only", "stay empty", func(s *constellation.PodSettings) { s.Volumes[1].ReadOnly = true }},
		{"volumes[0].mount_path", "starts with '/'", volume(func(v *constellation.Volume) { v.MountPath = "models" })},
		{"volumes[0].mount_path", "write /etc/x instead", volume(func(v *constellation.Volume) { v.MountPath = "/models/../etc/x" })},
		{"volumes[0].mount_path", "write /models instead", volume(func(v *constellation.Volume) { v.MountPath = "/models/" })},
		{"volumes[0].mount_path", "hide what the image has", volume(func(v *constellation.Volume) { v.MountPath = "/usr" })},
		{"volumes[0].mount_path", "algorithms answer through it", volume(func(v *constellation.Volume) { v.MountPath = "/tmp/algoout" })},
		{"volumes[0].mount_path", "the runner is there", volume(func(v *constellation.Volume) { v.MountPath = "/constellation" })},
		{"volumes[0].mount_path", "the system's", volume(func(v *constellation.Volume) { v.MountPath = "/proc/self" })},
		{"volumes[0].mount_path", "/dev/shm", volume(func(v *constellation.Volume) { v.MountPath = "/dev/null" })},
		{"volumes[1].mount_path", "overlap", volume(func(v *constellation.Volume) { v.MountPath = "/dev/shm" })},
		{"volumes[3].mount_path", "overlap", volume(func(v *constellation.Volume) { v.MountPath = "/etc/labels/deep" })},
		{"volumes[4].mount_path", "has to be writable", func(s *constellation.PodSettings) { s.Volumes[4].MountPath = "/tmp" }},
	} {
		s := goodSettings()
		test.change(&s)
		var v constellation.Validation
		s.Check(&v, "")
		var e *constellation.Error
		if !errors.As(v.Err(), &e) {
			t.Errorf("%s (%s): Check = %v, want an error", test.field, test.want, v.Err())
			continue
		}
		found := false
		for _, f := range e.Fields {
			found = found || f.Field == test.field && strings.Contains(f.Message, test.want)
		}
		if !found {
			t.Errorf("Check = %+v, want %s: …%s…", e.Fields, test.field, test.want)
		}
	}
}

// A value that is refused is never repeated: it may be a secret.
func TestRefusedValuesAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"hunter2\x00", "hunter2" + strings.Repeat("x", 40000), "hunter2\xff"} {
		var v constellation.Validation
		constellation.PodSettings{Env: map[string]string{"PASSWORD": value}}.Check(&v, "algorithms[0].")
		if err := v.Err(); err == nil || strings.Contains(fmt.Sprintf("%+v", err), "hunter2") {
			t.Errorf("Check = %v, want an error without the value", err)
		}
	}
}

func TestPodSettingsEqual(t *testing.T) {
	t.Parallel()
	a, b := goodSettings(), goodSettings()
	b.Volumes[0], b.Volumes[1] = b.Volumes[1], b.Volumes[0]
	if !a.Equal(b) || !(constellation.PodSettings{}).Equal(constellation.PodSettings{}.Whole()) {
		t.Error("Equal = false for the same settings")
	}
	b.EnvFrom[0], b.EnvFrom[1] = b.EnvFrom[1], b.EnvFrom[0]
	if a.Equal(b) {
		t.Error("Equal = true where another Secret's variables hold")
	}
}

// What is written is read as it was.
func TestPodSettingsText(t *testing.T) {
	t.Parallel()
	s := goodSettings()
	s.Env["QUOTED"], s.Env["SPACE"], s.Env["EQUALS"] = `"x"`, " x ", "a=b=c"
	got, err := s.Text().Parse()
	if err != nil || !got.Equal(s) {
		t.Errorf("Parse(%+v) = %+v, %v; want %+v", s.Text(), got, err, s)
	}
	for _, test := range []struct {
		text constellation.PodSettingsText
		want string
	}{
		{constellation.PodSettingsText{Env: "A=1\n\nB"}, "line 3: a variable is written NAME=value"},
		{constellation.PodSettingsText{Env: "A=1\nA=2"}, "line 2: the variable A is there twice"},
		{constellation.PodSettingsText{Env: `A="x`}, "no JSON string"},
		{constellation.PodSettingsText{EnvFrom: "hub"}, "secret:NAME/KEY"},
		{constellation.PodSettingsText{EnvFrom: "secret:hub/token"}, "Write NAME=secret:hub/token"},
		{constellation.PodSettingsText{EnvFrom: "A=secret:hub"}, "Write A=secret:hub/KEY"},
		{constellation.PodSettingsText{EnvFrom: "A=secret:/x"}, "secret:NAME/KEY"},
		{constellation.PodSettingsText{Volumes: "models"}, "NAME=pvc:CLAIM:/path"},
		{constellation.PodSettingsText{Volumes: "a=pvc:/path"}, "pvc:CLAIM:/path"},
		{constellation.PodSettingsText{Volumes: "a=host:/x:/path"}, "pvc:CLAIM:/path"},
		{constellation.PodSettingsText{Volumes: "a=pvc:x:/path:rw"}, `not "rw"`},
		{constellation.PodSettingsText{Volumes: "a=pvc:x:/path:memory"}, `not "memory"`},
	} {
		if _, err := test.text.Parse(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%+v) = %v, want …%s…", test.text, err, test.want)
		}
	}
}

func TestDiffPodSettings(t *testing.T) {
	t.Parallel()
	a, b := goodSettings(), goodSettings()
	b.Env["LEVEL"], b.Volumes[1].Size = "info", "2Gi"
	b.EnvFrom = b.EnvFrom[1:]
	want := []constellation.SettingChange{
		{What: "LEVEL", Was: `"debug"`, Now: `"info"`},
		{What: "volume shm", Was: "empty:1Gi:/dev/shm:memory", Now: "empty:2Gi:/dev/shm:memory"},
		{What: "all of secret:hub", Was: "secret:hub"},
	}
	if diff := cmp.Diff(want, constellation.DiffPodSettings(a, b)); diff != "" {
		t.Error(diff)
	}
}
