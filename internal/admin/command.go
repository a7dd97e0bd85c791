package admin

import (
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
)

// host returns the public URL's host and port.
func (s *server) host() string {
	if u, err := url.Parse(s.publicURL); err == nil && u.Host != "" {
		return u.Host
	}
	return s.publicURL
}

// installCommands returns the three of an installation, with what this mothership
// knows filled in.
func (s *server) installCommands(l *constellation.Launch) []component.Command {
	install := "algo-install satellite " + l.SatelliteID + " " + l.ID
	return []component.Command{
		{
			Name: "Download", Help: "Fetches the algorithms' images and the signed plan. The key is an admin API key; write - instead to give it on standard input.",
			Text: install + " get ADMIN_API_KEY --mothership " + s.publicURL, Fill: []string{"ADMIN_API_KEY"},
		},
		{
			Name: "Configure", Help: "Says where it goes: a registry that you are logged in to, and a cluster that pulls from it.",
			Text: shellLines(install+" configure", "stage.container_registry=REGISTRY", "stage.kubernetes.kubeconfig_path=KUBECONFIG",
				"stage.kubernetes.namespace=NAMESPACE", "stage.fqdn="+s.fqdn()),
			Fill: []string{"REGISTRY", "KUBECONFIG", "NAMESPACE"},
		},
		{Name: "Deploy", Help: "Pushes the images to the registry, starts the satellite and waits until it answers.", Text: install + " deploy"},
	}
}

// shellLines returns one command on several lines.
func shellLines(parts ...string) string { return strings.Join(parts, " \\\n  ") }
