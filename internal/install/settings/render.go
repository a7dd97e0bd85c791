package settings

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Render returns the stage as a launch is rendered with it, whose plan names the
// mothership's URL. Which Secret pods pull with is open, and so is the queue's
// storage when the cluster is to settle it.
func (s Stage) Render(planURL string) (render.Settings, error) {
	in := render.Settings{
		Namespace: s.Kubernetes.Namespace, CreateNamespace: s.Kubernetes.CreateNamespace,
		Ingress: render.Ingress(s.Ingress), Profile: s.Profile, OwnKey: s.OwnKey,
		Replicas: map[string]int{}, Scale: map[string]render.Bounds{}, Resources: map[string]render.Resources{},
		MothershipURL: s.HeartbeatURL(planURL),
	}
	allow, err := render.ParseMetricsAllow(s.Metrics.Allow)
	if err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "stage.metrics.allow")
	}
	in.MetricsAllow = allow
	if in.Monitor, err = render.ParseMonitor(s.Metrics.ServiceMonitor); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "stage.metrics.service_monitor")
	}
	if in.PodMonitor, err = render.ParseMonitor(s.Metrics.PodMonitor); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "stage.metrics.pod_monitor")
	}
	if in.Egress, err = s.egress(); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "the configuration")
	}
	if in.Placement, err = placement.Parse(s.Placement); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "the configuration")
	}
	if err := s.durable(&in); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "the configuration")
	}
	if err := s.mothershipWay(&in); err != nil {
		return in, err
	}
	if err := s.identity(&in); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "the configuration")
	}
	for of, r := range s.Resources {
		in.Resources[of] = render.Resources(r)
	}
	if err := s.weights(&in); err != nil {
		return in, err
	}
	if in.Pods, err = s.Pods(); err != nil {
		return in, fault.Wrap(err, fault.CodeUsage, "the configuration")
	}
	in.Engine = in.Resources[render.EngineResources]
	in.Queue.Resources = in.Resources[render.QueueResources]
	return in, nil
}

// durable adds what the operator set of the queue, of callbacks and of replicas.
func (s Stage) durable(in *render.Settings) (err error) {
	if in.Queue, err = s.Queue.Render(); err != nil {
		return err
	}
	if in.CallbackAllow, err = s.Callbacks.Targets(); err != nil {
		return fmt.Errorf("stage.callbacks.allow %w", err)
	}
	for vanity, value := range s.Replicas {
		count, bounds, err := render.ParseReplicas(string(value))
		switch {
		case err != nil:
			return fmt.Errorf("stage.replicas.%s %w", vanity, err)
		case bounds != nil:
			in.Scale[vanity] = *bounds
		default:
			in.Replicas[vanity] = count
		}
	}
	return nil
}

// mothershipWay adds the proxy and the certificates of the engines' way to the
// mothership, when they go there.
func (s Stage) mothershipWay(in *render.Settings) error {
	if in.MothershipURL == "" {
		return nil
	}
	in.MothershipProxy = s.Mothership.Proxy
	if s.Mothership.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(s.Mothership.CAFile)
	if err != nil {
		return fault.Wrap(err, fault.CodeUsage, "stage.mothership.ca_file")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fault.Errorf(fault.CodeUsage, "stage.mothership.ca_file: %s has no certificate in PEM form", s.Mothership.CAFile)
	}
	in.MothershipCA = string(pem)
	return nil
}
