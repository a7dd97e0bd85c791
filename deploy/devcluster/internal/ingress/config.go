// Package ingress is a small ingress controller: Ingress objects of class
// nginx become the configuration of an nginx of the machine.
package ingress

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
)

// Class is the ingress class that is served.
const Class = "nginx"

// Objects is what a configuration is made from.
type Objects struct {
	Ingresses []*networking.Ingress
	Services  []*core.Service
	Slices    []*discovery.EndpointSlice
	Secrets   []*core.Secret
}

// Files is a configuration: nginx.conf and the certificates it names.
type Files struct {
	Conf []byte
	TLS  map[string][]byte // file name → certificate chain and key, PEM
}

// Place says where nginx listens and keeps its files.
type Place struct {
	Dir     string
	Address string
}

type location struct {
	path     string
	exact    bool
	upstream string
	settings settings
	redirect bool // plain HTTP is sent to HTTPS
}

type server struct {
	host      string // "" is any
	tls       string // certificate file
	locations map[string]location
}

// Generate turns the objects into a configuration. The same objects in any
// order make the same bytes.
func Generate(o Objects, p Place) Files {
	g := generator{objects: o, servers: map[string]*server{"": {locations: map[string]location{}}}, upstreams: map[string][]string{}, tls: map[string][]byte{}}
	ingresses := slices.Clone(o.Ingresses)
	slices.SortFunc(ingresses, func(a, b *networking.Ingress) int { // the older one wins a conflict
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, ing := range ingresses {
		if Served(ing) {
			g.add(ing)
		}
	}
	return Files{Conf: g.render(p), TLS: g.tls}
}

// Served reports whether an Ingress is of our class.
func Served(ing *networking.Ingress) bool {
	if c := ing.Spec.IngressClassName; c != nil {
		return *c == Class
	}
	return ing.Annotations["kubernetes.io/ingress.class"] == Class
}

type generator struct {
	objects   Objects
	servers   map[string]*server
	upstreams map[string][]string
	tls       map[string][]byte
}

func (g *generator) server(host string) *server {
	s, ok := g.servers[host]
	if !ok {
		s = &server{host: host, locations: map[string]location{}}
		g.servers[host] = s
	}
	return s
}

func (g *generator) add(ing *networking.Ingress) {
	set := readSettings(ing.Annotations)
	for _, t := range ing.Spec.TLS {
		file := g.certificate(ing.Namespace, t.SecretName)
		for _, host := range t.Hosts {
			if s := g.server(validHost(host)); s.tls == "" {
				s.tls = file
			}
		}
	}
	if b := ing.Spec.DefaultBackend; b != nil {
		g.locate(g.server(""), location{path: "/", upstream: g.upstream(ing.Namespace, b), settings: set})
	}
	for _, rule := range ing.Spec.Rules {
		s := g.server(validHost(rule.Host))
		redirect := s.tls != "" && ing.Annotations[prefix+"ssl-redirect"] != "false"
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			l := location{path: cmp.Or(path.Path, "/"), upstream: g.upstream(ing.Namespace, &path.Backend), settings: set, redirect: redirect}
			if path.PathType != nil && *path.PathType == networking.PathTypeExact {
				l.exact = true
				g.locate(s, l)
				continue
			}
			// A prefix matches whole segments: /foo is /foo and /foo/…, not /foobar.
			base := strings.TrimRight(l.path, "/")
			if base != "" {
				g.locate(s, location{path: base, exact: true, upstream: l.upstream, settings: set, redirect: redirect})
			}
			l.path = base + "/"
			g.locate(s, l)
		}
	}
}

// locate adds a location unless an older Ingress has it.
func (g *generator) locate(s *server, l location) {
	if strings.ContainsAny(l.path, "\"\\\n\r${}") {
		return // not something a request can ask for, and it must not reach the configuration
	}
	key := "= " + l.path
	if !l.exact {
		key = l.path
	}
	if _, taken := s.locations[key]; !taken {
		s.locations[key] = l
	}
}

// upstream names the ready addresses behind a service port; "" when there are none.
func (g *generator) upstream(namespace string, b *networking.IngressBackend) string {
	if b.Service == nil {
		return ""
	}
	portName, ok := g.portName(namespace, b.Service)
	if !ok {
		return ""
	}
	var addresses []string
	for _, s := range g.objects.Slices {
		if s.Namespace == namespace && s.Labels[discovery.LabelServiceName] == b.Service.Name && s.AddressType == discovery.AddressTypeIPv4 {
			addresses = append(addresses, ready(s, portName)...)
		}
	}
	if len(addresses) == 0 {
		return ""
	}
	sort.Strings(addresses)
	name := fmt.Sprintf("%s_%s_%s", namespace, b.Service.Name, cmp.Or(portName, "port"))
	g.upstreams[name] = slices.Compact(addresses)
	return name
}

// portName returns the name by which EndpointSlices know the port of a backend.
func (g *generator) portName(namespace string, b *networking.IngressServiceBackend) (string, bool) {
	for _, s := range g.objects.Services {
		if s.Namespace != namespace || s.Name != b.Name {
			continue
		}
		for _, p := range s.Spec.Ports {
			if b.Port.Name != "" && p.Name == b.Port.Name || b.Port.Name == "" && p.Port == b.Port.Number {
				return p.Name, true
			}
		}
	}
	return "", false
}

func ready(s *discovery.EndpointSlice, portName string) []string {
	var out []string
	for _, p := range s.Ports {
		if p.Port == nil || p.Name != nil && *p.Name != portName || p.Name == nil && portName != "" {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, a := range e.Addresses {
				out = append(out, fmt.Sprintf("%s:%d", a, *p.Port))
			}
		}
	}
	return out
}

// certificate returns the file of a TLS secret, or the built-in one when the secret is missing.
func (g *generator) certificate(namespace, name string) string {
	for _, s := range g.objects.Secrets {
		if s.Namespace == namespace && s.Name == name && s.Type == core.SecretTypeTLS {
			data := bytes.Join([][]byte{s.Data[core.TLSCertKey], s.Data[core.TLSPrivateKeyKey]}, []byte("\n"))
			sum := sha256.Sum256(data)
			file := "tls-" + hex.EncodeToString(sum[:8]) + ".pem"
			g.tls[file] = data
			return file
		}
	}
	return DefaultCertificate
}

// validHost keeps what may be a host name; anything else matches nothing.
func validHost(host string) string {
	for _, c := range host {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-*", c) {
			return "invalid.invalid"
		}
	}
	return host
}
