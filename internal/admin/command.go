package admin

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
)

// host is the public URL's host and port, as the registry's users write it.
func (s *server) host() string {
	if u, err := url.Parse(s.publicURL); err == nil && u.Host != "" {
		return u.Host
	}
	return s.publicURL
}

// installCommands are the three of the mission, with what this mothership
// knows filled in.
func (s *server) installCommands(l *constellation.Launch) []component.Command {
	install := "algo-install satellite " + l.SatelliteID + " " + l.ID
	mothership := s.publicURL
	if s.https() {
		mothership = s.host()
	}
	return []component.Command{
		{
			Name: "Download", Help: "Fetches the algorithms' images and the signed plan. The key is an admin API key; write - instead to give it on standard input.",
			Text: install + " get ADMIN_API_KEY --mothership " + s.publicURL, Fill: []string{"ADMIN_API_KEY"},
		},
		{
			Name: "Configure", Help: "Says where it goes: a registry that you are logged in to, and a cluster that pulls from it.",
			Text: shellLines(install+" configure", "stage.container_registry=REGISTRY", "stage.kubernetes.kubeconfig_path=KUBECONFIG",
				"stage.kubernetes.namespace=NAMESPACE", "stage.fqdn="+mothership),
			Fill: []string{"REGISTRY", "KUBECONFIG", "NAMESPACE"},
		},
		{Name: "Deploy", Help: "Pushes the images to the registry, starts the satellite and waits until it answers.", Text: install + " deploy"},
	}
}

// createSatelliteCommands lead from nothing to a satellite; who may not make
// one gets none.
func (s *server) createSatelliteCommands(p control.Principal) []component.Command {
	if p.Role != constellation.RoleAdmin {
		return nil
	}
	return []component.Command{
		{
			Name: "Make an API key", Help: "On the mothership's machine, with the --data-dir or DATABASE_URL of the server. A key is shown once.",
			Text: "export API_KEY=$(mothership api-key create --account " + p.Username + " --role admin)",
		},
		{
			Name: "Push an algorithm", Help: "Any image that serves the algorithm; its tag is the 40-digit hash of the commit it is built from.",
			Text: "echo \"$API_KEY\" | docker login " + s.host() + " --username " + p.Username + " --password-stdin\n" +
				"docker tag IMAGE " + s.host() + "/OWNER/NAME:HASH\n" +
				"docker push " + s.host() + "/OWNER/NAME:HASH",
			Fill: []string{"IMAGE", "OWNER", "NAME", "HASH"},
		},
		{
			Name: "Create satellite", Help: "Which algorithms, under which vanity URL, with how many replicas.",
			Text: s.post("/v1/satellites", `{"name": "First satellite", "algorithms": [`+"\n"+
				`        {"algorithm": "OWNER/NAME/HASH", "vanity_url": "first/try", "replicas": 1}]}`),
			Fill: []string{"OWNER", "NAME", "HASH"},
		},
	}
}

// createLaunchCommands make a satellite's first launch instance.
func (s *server) createLaunchCommands(satellite *constellation.Satellite) []component.Command {
	return []component.Command{{
		Name: "New launch instance", Help: "With the API key of an administrator or operator in $API_KEY.",
		Text: s.post("/v1/satellites/"+satellite.ID+"/launches",
			`{"name": "First launch", "satellite_version": `+strconv.Itoa(satellite.LatestVersion.Number)+`}`),
	}}
}

// post is a curl command that sends body, which has no quote ', to path.
func (s *server) post(path, body string) string {
	return shellLines("curl "+s.publicURL+path, `-H "Authorization: Simple $API_KEY"`, "--json '"+body+"'")
}

// shellLines is one command on several lines.
func shellLines(parts ...string) string { return strings.Join(parts, " \\\n  ") }
