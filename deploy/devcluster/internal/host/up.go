//go:build linux

// Package host starts and ends clusters as the machine sees them: namespaces,
// the link into them, cgroups, the state folder and the record of the slot.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/components"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/flock"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// Options of Up.
type Options struct {
	Name               string
	StateDir           string // empty: below DefaultStateRoot
	InsecureRegistries []string
	Ingress            bool
	Install            bool
	Timeout            time.Duration
}

// Cluster is a cluster that Up found or started.
type Cluster struct {
	Info
	record Record
	ended  <-chan struct{} // closed when its PID 1 ends; nil if it ran before
}

// Host starts and ends clusters and says what it does on Say.
type Host struct {
	Say   io.Writer
	Slots Slots
	began time.Time
}

// New is a Host of this machine.
func New(say io.Writer) *Host {
	return &Host{Say: say, Slots: Slots{Dir: RunDir}, began: time.Now()}
}

func (h *Host) step(format string, args ...any) {
	_, _ = fmt.Fprintf(h.Say, "%6.1fs  %s\n", time.Since(h.began).Seconds(), fmt.Sprintf(format, args...))
}

// Up starts a cluster and waits until it can be used. One that is up already
// is left as it is, but for registries it is now to trust. A start that fails
// or is interrupted leaves nothing behind.
func (h *Host) Up(ctx context.Context, o Options) (*Cluster, error) {
	if err := h.check(ctx, &o); err != nil {
		return nil, err
	}
	lock, err := h.lockName(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer h.unlockName(lock)
	record, found, err := h.Slots.Find(o.Name)
	if err != nil {
		return nil, err
	}
	if found && record.Alive() {
		if info, err := ReadInfo(record.StateDir); err == nil {
			h.step("cluster %s is already up", o.Name)
			return &Cluster{Info: info, record: record}, h.allowRegistries(record, o.InsecureRegistries)
		}
	}
	if found {
		h.step("removing what is left of an earlier cluster %s", o.Name)
		if err := h.tearDown(record); err != nil {
			return nil, err
		}
	}
	programs, err := h.programs(ctx)
	if err != nil {
		return nil, err
	}
	record, err = h.claimSlot(ctx, o)
	if err != nil {
		return nil, err
	}
	cluster, err := h.launch(ctx, o, record, programs)
	if err != nil {
		h.step("removing the cluster again")
		return nil, errors.Join(err, h.tearDownNow(o.Name))
	}
	return cluster, nil
}

func (h *Host) check(ctx context.Context, o *Options) error {
	if os.Geteuid() != 0 {
		return errors.New("devcluster needs Linux and root: run it as root, or set KUBECONFIG to a cluster you have")
	}
	if err := CheckName(o.Name); err != nil {
		return err
	}
	if o.StateDir == "" {
		o.StateDir = filepath.Join(DefaultStateRoot, o.Name)
	}
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return fmt.Errorf("find state folder: %w", err)
	}
	o.StateDir = dir
	for _, r := range o.InsecureRegistries {
		if _, err := node.ExpandRegistry(r, NetworkFor(0)); err != nil {
			return err
		}
	}
	addSbin()
	if o.Install {
		if missing := MissingPackages(o.Ingress); len(missing) > 0 {
			h.step("installing %s", strings.Join(missing, " "))
		}
		if err := Install(ctx, o.Ingress, h.Say); err != nil {
			return err
		}
	}
	return RequirePackages(o.Ingress)
}

// addSbin makes system programs found whatever PATH root's shell has.
func addSbin() {
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
}

func (h *Host) programs(ctx context.Context) (map[string]string, error) {
	out := map[string]string{"devcluster": "/proc/self/exe"}
	for _, c := range components.Cluster() {
		path, err := components.Build(ctx, c, h.step)
		if err != nil {
			return nil, err
		}
		out[c.Name] = path
	}
	return out, nil
}

// claimSlot takes the state folder and a slot for the cluster.
func (h *Host) claimSlot(ctx context.Context, o Options) (Record, error) {
	records, err := h.Slots.Records()
	if err != nil {
		return Record{}, err
	}
	for _, r := range records {
		if r.StateDir == o.StateDir {
			return Record{}, fmt.Errorf("state folder %s belongs to cluster %s: choose another with --state", o.StateDir, r.Name)
		}
	}
	if owned(o.StateDir) { // its record went with a reboot
		if err := discard(o.StateDir); err != nil {
			return Record{}, err
		}
	}
	busy, err := busyNetworks()
	if err != nil {
		return Record{}, err
	}
	if err := claim(o.StateDir); err != nil {
		return Record{}, err
	}
	record, err := h.Slots.Allocate(ctx, o.Name, o.StateDir, busy)
	if err != nil {
		return Record{}, errors.Join(err, discard(o.StateDir))
	}
	return record, nil
}

func (h *Host) launch(ctx context.Context, o Options, record Record, programs map[string]string) (*Cluster, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	spec := node.Spec{
		Name: o.Name, Network: NetworkFor(record.Slot), Ingress: o.Ingress, Overlay: carriesOverlay(o.StateDir),
		Hierarchy: hierarchies(string(mounts)), CgroupName: cgroupName(o.Name),
	}
	if err := prepare(o.StateDir, spec, programs); err != nil {
		return nil, err
	}
	if err := h.allowRegistries(record, o.InsecureRegistries); err != nil {
		return nil, err
	}
	h.step("starting cluster %s: node %s, pods %s, services %s", o.Name, spec.Network.Node, spec.Network.Pods, spec.Network.Services)
	ended, err := h.start(&record, spec)
	if err != nil {
		return nil, err
	}
	info := Info{
		Name: o.Name, Kubeconfig: filepath.Join(o.StateDir, "kubeconfig"), NodeAddress: spec.Network.Node.String(),
		HostAddress: spec.Network.Host.String(), PodCIDR: spec.Network.Pods.String(), ServiceCIDR: spec.Network.Services.String(), PID: record.PID,
	}
	if o.Ingress {
		info.IngressURL = "http://" + info.NodeAddress
	}
	if err := h.waitUsable(ctx, o, info, ended); err != nil {
		return nil, err
	}
	if err := info.write(o.StateDir); err != nil {
		return nil, err
	}
	return &Cluster{Info: info, record: record, ended: ended}, nil
}

func prepare(stateDir string, spec node.Spec, programs map[string]string) error {
	if err := node.WriteFiles(stateDir, spec); err != nil {
		return err
	}
	for name, path := range programs {
		if err := place(path, filepath.Join(stateDir, "bin", name)); err != nil {
			return err
		}
	}
	return spec.Write(stateDir)
}

// start starts the cluster's PID 1 in its namespaces, connects it and lets it go on.
func (h *Host) start(record *Record, spec node.Spec) (<-chan struct{}, error) {
	log, err := os.OpenFile(filepath.Join(record.StateDir, "logs", "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open node.log: %w", err)
	}
	defer func() { _ = log.Close() }()
	ready, release, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	defer func() { _ = release.Close() }()                                                                  // without a byte sent, the other end gives up
	cmd := exec.Command(filepath.Join(record.StateDir, "bin", "devcluster"), "node-enter", record.StateDir) //nolint:gosec // our own program
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{ready}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	err = cmd.Start()
	_ = ready.Close()
	if err != nil {
		return nil, fmt.Errorf("start cluster in its namespaces: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	record.PID = cmd.Process.Pid
	if record.Started, _, err = processStart(record.PID); err != nil {
		return nil, err
	}
	if err := h.Slots.Write(*record); err != nil {
		return nil, err
	}
	if err := makeCgroups(spec.Hierarchy, spec.CgroupName, record.PID); err != nil {
		return nil, err
	}
	if err := connect(spec.Network, record.PID); err != nil {
		return nil, err
	}
	if _, err := release.Write([]byte{1}); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	return ended, nil
}

func (h *Host) allowRegistries(r Record, registries []string) error {
	network := NetworkFor(r.Slot)
	for _, name := range registries {
		registry, err := node.ExpandRegistry(name, network)
		if err != nil {
			return err
		}
		if err := node.AllowInsecureRegistry(r.StateDir, registry, network); err != nil {
			return err
		}
		h.step("images of %s are pulled by plain HTTP", registry)
	}
	return nil
}

// lockName keeps two commands from starting or ending one cluster at once.
func (h *Host) lockName(ctx context.Context, name string) (*flock.Lock, error) {
	return flock.Acquire(ctx, filepath.Join(h.Slots.Dir, "name-"+name+".lock"))
}

func (h *Host) unlockName(l *flock.Lock) {
	_ = l.Remove()
	_ = os.Remove(h.Slots.Dir) // stays while another cluster is recorded there
}

func cgroupName(name string) string { return "constellation-devcluster-" + name }
