package render

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	enginePortTLS = 8443
	engineHTTPS   = "https"
	servicePort   = 80
	servicePortS  = 443
)

// ClientCAKey is what the authorities of client certificates stand under in their
// ConfigMap or Secret.
const ClientCAKey = "ca.crt"

// TLS is how the engine serves HTTPS; without a Secret it does not.
type TLS struct {
	Secret string // of type kubernetes.io/tls
	Only   bool   // plain HTTP is for the launch's own pods, and the Ingress goes by HTTPS
}

// Source is a ConfigMap or a Secret of the namespace that the operator made.
type Source struct {
	Secret bool
	Name   string // "" is none
}

// secureService adds the port of HTTPS. The plain one stays, by which algorithms
// call each other.
func (r *renderer) secureService(s *corev1.Service) {
	if r.Settings.TLS.Secret == "" {
		return
	}
	s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
		Name: engineHTTPS, Port: servicePortS, TargetPort: intstr.FromString(engineHTTPS), Protocol: corev1.ProtocolTCP,
	})
	if r.viaTLS() && r.Settings.Ingress.Provider == "traefik" {
		s.Annotations = map[string]string{"traefik.ingress.kubernetes.io/service.serversscheme": "https"}
	}
}

// viaTLS reports whether the Ingress reaches the engine by HTTPS.
func (r *renderer) viaTLS() bool { return r.Settings.TLS.Secret != "" && r.Settings.TLS.Only }

// securePod adds TLS and what says who may call. It all is in the folder of the
// configuration, so that a change reaches a running pod.
func (r *renderer) securePod(pod *corev1.PodSpec) {
	engine, files := &pod.Containers[0], pod.Volumes[0].Projected
	if name := r.Settings.TLS.Secret; name != "" {
		engine.Command = append(append([]string{}, engine.Command...), "--tls-listen", ":8443")
		engine.Ports = append(engine.Ports, corev1.ContainerPort{Name: engineHTTPS, ContainerPort: enginePortTLS, Protocol: corev1.ProtocolTCP})
		files.Sources = append(files.Sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Items:                []corev1.KeyToPath{{Key: corev1.TLSCertKey, Path: config.TLSCertFile}, {Key: corev1.TLSPrivateKeyKey, Path: config.TLSKeyFile}},
		}})
	}
	if name := r.Settings.JWKSConfigMap; name != "" {
		files.Sources = append(files.Sources, projection(Source{Name: name}, config.JWKSFile, config.JWKSFile))
	}
	if from := r.Settings.ClientCA; from.Name != "" {
		files.Sources = append(files.Sources, projection(from, ClientCAKey, config.ClientCAFile))
	}
}

// projection puts a key of a source into the configuration's folder.
func projection(from Source, key, path string) corev1.VolumeProjection {
	reference, items := corev1.LocalObjectReference{Name: from.Name}, []corev1.KeyToPath{{Key: key, Path: path}}
	if from.Secret {
		return corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: reference, Items: items}}
	}
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: reference, Items: items}}
}

// callRules are who may reach the engine's calls: anyone, or by TLS alone and the
// launch's own pods beside.
func (r *renderer) callRules(everyPod metav1.LabelSelector) []networkingv1.NetworkPolicyIngressRule {
	plain, secure := []networkingv1.NetworkPolicyPort{tcp(enginePort)}, []networkingv1.NetworkPolicyPort{tcp(enginePortTLS)}
	switch {
	case r.Settings.TLS.Secret == "":
		return []networkingv1.NetworkPolicyIngressRule{{Ports: plain}}
	case !r.Settings.TLS.Only:
		return []networkingv1.NetworkPolicyIngressRule{{Ports: append(plain, secure...)}}
	}
	return []networkingv1.NetworkPolicyIngressRule{
		{Ports: secure},
		{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &everyPod}}, Ports: plain},
	}
}

// viaTLSAnnotations tell an ingress controller that the engine speaks HTTPS.
func viaTLSAnnotations(provider string) map[string]string {
	switch provider {
	case "nginx":
		return map[string]string{"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}
	case "alb":
		return map[string]string{"alb.ingress.kubernetes.io/backend-protocol": "HTTPS"}
	case "agic":
		return map[string]string{"appgw.ingress.kubernetes.io/backend-protocol": "https"}
	case "openshift":
		return map[string]string{"route.openshift.io/termination": "reencrypt"}
	}
	return nil
}

// ingressPort returns the Service's port that the Ingress leads to.
func (r *renderer) ingressPort() int64 {
	if r.viaTLS() {
		return servicePortS
	}
	return servicePort
}
