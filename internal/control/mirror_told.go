package control

import (
	"encoding/json"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// registryEvent is what registries post when something happens, of all that are known.
type registryEvent struct {
	Image string `json:"image"` // the generic form

	Events []struct { // the registry of Docker's distribution
		Action string `json:"action"`
		Target struct {
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		} `json:"target"`
	} `json:"events"`

	Type      string `json:"type"` // Harbor
	EventData struct {
		Repository struct {
			RepoFullName string `json:"repo_full_name"`
		} `json:"repository"`
		Resources []struct {
			Tag string `json:"tag"`
		} `json:"resources"`
	} `json:"event_data"`

	Action          string         `json:"action"` // GitHub
	RegistryPackage *githubPackage `json:"registry_package"`
	Package         *githubPackage `json:"package"`

	PushData struct { // Docker Hub
		Tag string `json:"tag"`
	} `json:"push_data"`
	Repository json.RawMessage `json:"repository"` // Docker Hub: an object; Quay: a name
}

type githubPackage struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Owner     struct {
		Login string `json:"login"`
	} `json:"owner"`
	Version struct {
		ContainerMetadata struct {
			Tag struct {
				Name string `json:"name"`
			} `json:"tag"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

// concerns reports whether what a registry says may be of a push that a mirror is for:
// of what is not understood, it may. Pulls are not, or each poll would make the next.
func concerns(m *constellation.Mirror, body []byte) bool {
	var e registryEvent
	if json.Unmarshal(body, &e) != nil {
		return true
	}
	_, repository, _ := strings.Cut(m.Source, "/")
	of := func(name, tag string) bool {
		return strings.EqualFold(name, repository) && (tag == "" || m.Matches(tag))
	}
	switch {
	case e.Image != "":
		image, err := constellation.ParseImageName(e.Image)
		if err != nil {
			return true
		}
		return image.Host+"/"+image.Repository == m.Source && (image.Digest != "" || m.Matches(image.Tag))
	case len(e.Events) > 0:
		for _, x := range e.Events {
			if x.Action == "push" && of(x.Target.Repository, x.Target.Tag) {
				return true
			}
		}
		return false
	case e.EventData.Repository.RepoFullName != "":
		if e.Type != "" && !strings.HasPrefix(strings.ToUpper(e.Type), "PUSH") {
			return false
		}
		for _, x := range e.EventData.Resources {
			if of(e.EventData.Repository.RepoFullName, x.Tag) {
				return true
			}
		}
		return len(e.EventData.Resources) == 0 && of(e.EventData.Repository.RepoFullName, "")
	case e.RegistryPackage != nil:
		return e.RegistryPackage.concerns(of)
	case e.Package != nil:
		return e.Package.concerns(of)
	}
	return e.hub(of)
}

func (p *githubPackage) concerns(of func(name, tag string) bool) bool {
	owner, tag := p.Namespace, p.Version.ContainerMetadata.Tag.Name
	if owner == "" {
		owner = p.Owner.Login
	}
	return of(owner+"/"+p.Name, tag)
}

// hub reports what Docker Hub or Quay says, and true of anything else.
func (e *registryEvent) hub(of func(name, tag string) bool) bool {
	if len(e.Repository) == 0 {
		return true
	}
	var named struct {
		RepoName string `json:"repo_name"`
	}
	if json.Unmarshal(e.Repository, &named) == nil && named.RepoName != "" {
		return of(named.RepoName, e.PushData.Tag)
	}
	var name string
	if json.Unmarshal(e.Repository, &name) == nil && name != "" {
		return of(name, "")
	}
	return true
}
