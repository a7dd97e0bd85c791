package places

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
)

// place is a namespace of a cluster that the launch was deployed to from this
// folder. It holds until the launch is removed there.
type place struct {
	Server     string    `json:"server"`
	Namespace  string    `json:"namespace"`
	Context    string    `json:"context,omitempty"`
	Kubeconfig string    `json:"kubeconfig_path"`
	At         time.Time `json:"at"`
}

func (p place) is(server, namespace string) bool {
	return p.Server == server && p.Namespace == namespace
}

// placesName is the note of the places, which counts on this machine alone.
const placesName, placesPurpose = "work/places.json", "places"

// readPlaces returns the places; a note that is damaged or of another machine
// names none.
func readPlaces(f store.Folder) []place {
	var places []place
	if ours, err := f.ReadNote(placesName, placesPurpose, &places); err != nil || !ours {
		return nil
	}
	return places
}

// Note notes where a deploy begins to change things.
func Note(f store.Folder, k settings.Kubernetes, server, namespace string) error {
	places := slices.DeleteFunc(readPlaces(f), func(p place) bool { return p.is(server, namespace) })
	places = append(places, place{server, namespace, k.Context, k.KubeconfigPath, time.Now().UTC().Truncate(time.Second)})
	if err := f.WriteNote(placesName, placesPurpose, places); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "note where the launch goes")
	}
	return nil
}

// Drop forgets a place. That a folder cannot be written to only means that
// they are reported again.
func Drop(f store.Folder, server, namespace string) {
	places := readPlaces(f)
	if left := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return p.is(server, namespace) }); len(left) < len(places) {
		_ = f.WriteNote(placesName, placesPurpose, left)
	}
}

// Elsewhere returns, for each other place, that the launch still is there and how to
// remove it. Of namespaces of the cluster that is connected, nil being none, it
// looks; to connect to another cluster for it is not for a note to decide.
func Elsewhere(ctx context.Context, f store.Folder, stage settings.Stage, server string, cluster *cluster.Cluster) []string {
	var told []string
	for _, p := range readPlaces(f) {
		if p.is(server, stage.Kubernetes.Namespace) {
			continue
		}
		if cluster != nil && p.Server == server {
			there, err := apply.ReadInventory(ctx, cluster.In(p.Namespace))
			if err == nil && (there == nil || there.LaunchID != f.LaunchID) {
				Drop(f, p.Server, p.Namespace)
				continue
			}
		}
		told = append(told, p.sentence(f, stage))
	}
	return told
}

// sentence returns one sentence, and the commands.
func (p place) sentence(f store.Folder, stage settings.Stage) string {
	command := "algo-install satellite " + f.SatelliteID + " " + f.LaunchID + " "
	set := func(namespace, context, kubeconfig string) string {
		return command + "configure stage.kubernetes.namespace=" + shellQuote(namespace) + " stage.kubernetes.context=" + shellQuote(context) +
			" stage.kubernetes.kubeconfig_path=" + shellQuote(kubeconfig)
	}
	k := stage.Kubernetes
	return fmt.Sprintf("this launch was deployed to namespace %s of %q on %s, and runs there until it is removed:\n  %s\n  %sremove\n  %s\n(if that cluster is gone, delete %s)",
		p.Namespace, p.Server, p.At.Format(time.DateOnly), set(p.Namespace, p.Context, p.Kubeconfig), command, set(k.Namespace, k.Context, k.KubeconfigPath), f.Path(placesName))
}

// shellQuote makes one word of a value for a shell.
func shellQuote(value string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:@%+=,-", r)
	}
	if strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
