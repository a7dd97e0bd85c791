package settings

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Weights is how pods get the weights that their algorithms read.
type Weights struct {
	Mount string `yaml:"mount"`
	Cache string `yaml:"cache"`
}

const (
	cacheNone  = "none"
	cacheClaim = "pvc:"
)

// checkCache takes the places in which weights can be unpacked.
func checkCache(value string) (string, error) {
	if value == cacheNone {
		return value, nil
	}
	if strings.HasPrefix(strings.ToLower(value), "hostpath") || strings.HasPrefix(value, "/") {
		return "", errors.New("is none or pvc:CLAIM: a folder of the node (hostPath) is forbidden under restricted Pod Security, and lets pods write to nodes")
	}
	claim, ok := strings.CutPrefix(value, cacheClaim)
	if !ok {
		return "", fmt.Errorf("is none, or pvc: and the name of a PersistentVolumeClaim such as pvc:models; not %q", value)
	}
	if len(validation.IsDNS1123Subdomain(claim)) > 0 {
		return "", fmt.Errorf("names a PersistentVolumeClaim, which has lower-case letters, digits, '-' and '.'; not %q", claim)
	}
	return value, nil
}

// weights adds how pods get their weights. Whether auto is image or copy is for
// the cluster to settle.
func (s Stage) weights(in *render.Settings) error {
	in.Weights = render.Weights{Mount: s.Weights.Mount, Insecure: s.Registry.Insecure != nil && *s.Registry.Insecure}
	if claim, ok := strings.CutPrefix(s.Weights.Cache, cacheClaim); ok {
		in.Weights.Claim = claim
	}
	if s.Registry.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(s.Registry.CAFile)
	if err != nil {
		return fault.Wrap(err, fault.CodeUsage, "stage.registry.ca_file")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fault.Errorf(fault.CodeUsage, "stage.registry.ca_file: %s has no certificate in PEM form", s.Registry.CAFile)
	}
	in.Weights.CA = string(pem)
	return nil
}
