package install_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// readOnly makes a disk read-only, as DVDs and write-protected sticks are.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// A deployment folder on a disk that cannot be written to: what only reads
// does, and what writes says where it could.
func TestReadOnlyMedia(t *testing.T) {
	kubeconfig, p := startAPIServer(t), newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 100_000), folder(t)
	f.Root = smallDisk(t, "16m")
	mustGet(t, f, m.options())
	settings := []string{"stage.container_registry=" + p.host + "/team", "stage.kubernetes.kubeconfig_path=" + kubeconfig,
		"stage.kubernetes.namespace=algorithms", "stage.kubernetes.create_namespace=true", "stage.ingress.provider=none"}
	configure(t, f, settings...)
	if _, err := install.Push(t.Context(), f, pushOptions()); err != nil {
		t.Fatal(err)
	}
	readOnly(t, f.Root)
	progress, elsewhere := progress.New(io.Discard), t.TempDir()
	deploy := func(f store.Folder, dry bool) error {
		_, err := install.Deploy(t.Context(), f, install.DeployOptions{DryRun: dry, NoWait: true, Timeout: time.Minute, Progress: progress})
		return err
	}
	export := func(f store.Folder) error {
		_, err := install.Export(t.Context(), f, install.ExportOptions{File: filepath.Join(elsewhere, "x.tar"), Progress: progress})
		return err
	}
	reads := map[string]func(f store.Folder) error{
		"verify": func(f store.Folder) error { _, err := install.Verify(t.Context(), f, "", progress); return err },
		"status": func(f store.Folder) error { _, err := install.Status(t.Context(), f); return err },
		"doctor": func(f store.Folder) error {
			_, err := install.Doctor(t.Context(), f, []string{"room for pods"}, progress)
			return err
		},
		"diff":    func(f store.Folder) error { _, err := install.Diff(t.Context(), f, progress); return err },
		"export":  export,
		"dry run": func(f store.Folder) error { return deploy(f, true) },
		"render": func(f store.Folder) error {
			_, err := install.Render(t.Context(), f, install.RenderOptions{Kustomize: filepath.Join(elsewhere, "k"), Progress: progress})
			return err
		},
		"show": func(f store.Folder) error {
			_, err := install.Configure(t.Context(), f, nil, false, progress)
			return err
		},
	}
	for verb, run := range reads {
		if err := run(f); err != nil {
			t.Errorf("%s on a read-only disk: %v", verb, err)
		}
	}
	writes := map[string]func(f store.Folder) error{
		"push":   func(f store.Folder) error { _, err := install.Push(t.Context(), f, pushOptions()); return err },
		"deploy": func(f store.Folder) error { return deploy(f, false) },
		"render": func(f store.Folder) error {
			_, err := install.Render(t.Context(), f, install.RenderOptions{Progress: progress})
			return err
		},
		"configure": func(f store.Folder) error {
			_, err := install.Configure(t.Context(), f, []string{"stage.profile=edge"}, false, progress)
			return err
		},
	}
	for verb, run := range writes {
		err := run(f)
		wantCode(t, err, fault.CodeFailed, f.Root, "read-only", "--work-dir")
		if strings.Contains(err.Error(), "another user") {
			t.Errorf("%s: %v speaks of another user", verb, err)
		}
	}
	o := m.options()
	_, err := install.Get(t.Context(), f, o)
	wantCode(t, err, fault.CodeFailed, f.Root, "read-only", "--deployment-dir")

	withWork := f
	withWork.Work = filepath.Join(t.TempDir(), "work") // made when it is needed
	for _, list := range []map[string]func(f store.Folder) error{reads, writes} {
		for verb, run := range list {
			if err := run(withWork); err != nil {
				t.Errorf("%s with a work folder: %v", verb, err)
			}
		}
	}
	_, err = install.Get(t.Context(), withWork, o)
	wantCode(t, err, fault.CodeUsage, "--work-dir")
}

// A disk that another machine wrote brings neither pins nor a configuration:
// the operator's are kept in the work folder.
func TestReadOnlyMediaFromElsewhere(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 100_000)
	disk := smallDisk(t, "16m")
	if err := os.CopyFS(disk, os.DirFS(f.Root)); err != nil {
		t.Fatal(err)
	}
	there := store.Folder{Root: disk, Work: t.TempDir(), SatelliteID: satelliteID, LaunchID: launchID}
	readOnly(t, disk)
	id, o := m.bundle.Signature.KeyID, pushOptions()
	_, err := install.Verify(t.Context(), there, "", o.Progress)
	wantCode(t, err, fault.CodeIntegrity, id, "no mothership's key")
	bare := there
	bare.Work = ""
	_, err = install.Verify(t.Context(), bare, id, o.Progress) // has nowhere to remember the key
	wantCode(t, err, fault.CodeFailed, disk, "read-only", "--work-dir")
	if _, err := install.Verify(t.Context(), there, id, o.Progress); err != nil {
		t.Fatal(err)
	}
	_, err = install.Push(t.Context(), there, o)
	wantCode(t, err, fault.CodeIntegrity, filepath.Join(disk, "current"), "--with-config")
	if err := install.AcceptConfig(t.Context(), there, o.Progress); err != nil {
		t.Fatal(err)
	}
	configure(t, there, "stage.container_registry="+p.host+"/third")
	result := mustPush(t, there, o)
	wantPulled(t, result)
	if result.Registry != p.host+"/third" {
		t.Errorf("pushed to %s, want what was configured in the work folder", result.Registry)
	}
}
