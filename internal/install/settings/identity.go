package settings

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// The forms of the texts, as those of schema.go.
const (
	formText        = `^[^\s,]{1,256}$`
	formAudience    = `^\s*[^\s,]+\s*(,\s*[^\s,]+\s*)*$`
	formJWKS        = `^(https://\S+|configmap:` + objectName + `)$`
	formLeeway      = `^(([0-9]|[1-9][0-9]|[1-5][0-9]{2}|600)s|([0-9]|10)m)$`
	formClientCA    = `^(configmap|secret):` + objectName + `$`
	formClientAllow = `^(all|[^\s,]+=[^\s,]+(\s*,\s*[^\s,]+=[^\s,]+)*)$`

	objectName = `[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?`
)

// TLS is how the engine serves HTTPS.
type TLS struct {
	Secret string `yaml:"secret"`
	Only   *bool  `yaml:"only"` // nil is not set: no
}

// Auth is who may call besides keys.
type Auth struct {
	JWT         JWT    `yaml:"jwt"`
	ClientCA    string `yaml:"client_ca"`
	ClientAllow string `yaml:"client_allow"`
}

// JWT is an issuer of tokens.
type JWT struct {
	Issuer           string `yaml:"issuer"`
	Audience         string `yaml:"audience"`
	JWKS             string `yaml:"jwks"`
	CAFile           string `yaml:"ca_file"`
	AlgorithmsClaim  string `yaml:"algorithms_claim"`
	AlgorithmsPrefix string `yaml:"algorithms_prefix"`
	Leeway           string `yaml:"leeway"`
}

// isSet reports whether anything of the issuer is.
func (j JWT) isSet() bool { return j != JWT{} }

// identity adds what the operator set of TLS and of callers without keys. What one
// key needs of another is settled here: configure sets them one by one.
func (s Stage) identity(in *render.Settings) error {
	in.TLS = render.TLS{Secret: s.TLS.Secret, Only: s.TLS.Only != nil && *s.TLS.Only}
	if in.TLS.Only && in.TLS.Secret == "" {
		return errors.New("stage.tls.only needs stage.tls.secret: without, nothing would reach the engine from outside")
	}
	if err := s.clientCA(in); err != nil {
		return err
	}
	if !s.Auth.JWT.isSet() {
		return nil
	}
	return s.jwt(in)
}

func (s Stage) jwt(in *render.Settings) error {
	set := s.Auth.JWT
	for key, value := range map[string]string{"issuer": set.Issuer, "audience": set.Audience, "jwks": set.JWKS} {
		if value == "" {
			return fmt.Errorf("stage.auth.jwt.%s is missing: tokens need stage.auth.jwt.issuer, .audience and .jwks; or unset the others", key)
		}
	}
	jwt := &config.JWT{Issuer: set.Issuer, Audience: strings.Split(set.Audience, ","), AlgorithmsClaim: set.AlgorithmsClaim, AlgorithmsPrefix: set.AlgorithmsPrefix}
	if name, ok := strings.CutPrefix(set.JWKS, "configmap:"); ok {
		jwt.JWKSFile, in.JWKSConfigMap = config.JWKSFile, name
	} else {
		jwt.JWKSURL = set.JWKS
	}
	if set.Leeway != "" {
		leeway, err := time.ParseDuration(set.Leeway)
		if err != nil {
			return fmt.Errorf("stage.auth.jwt.leeway: %w", err)
		}
		seconds := int64(leeway / time.Second)
		jwt.LeewaySeconds = &seconds
	}
	if set.CAFile != "" {
		pem, err := os.ReadFile(set.CAFile)
		if err != nil {
			return fmt.Errorf("stage.auth.jwt.ca_file: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("stage.auth.jwt.ca_file: %s has no certificate in PEM form", set.CAFile)
		}
		jwt.CA = string(pem)
	}
	in.Auth.JWT = jwt
	return invalid(in.Auth.Validate())
}

func (s Stage) clientCA(in *render.Settings) error {
	set := s.Auth
	switch {
	case set.ClientCA == "" && set.ClientAllow == "":
		return nil
	case set.ClientCA == "":
		return errors.New("stage.auth.client_allow needs stage.auth.client_ca, whose certificates it is about")
	case in.TLS.Secret == "":
		return errors.New("stage.auth.client_ca needs stage.tls.secret: certificates are shown where the engine itself serves TLS")
	}
	kind, name, _ := strings.Cut(set.ClientCA, ":")
	in.ClientCA = render.Source{Secret: kind == "secret", Name: name}
	rules, err := clientRules(set.ClientAllow)
	if err != nil {
		return fmt.Errorf("stage.auth.client_allow %w", err)
	}
	in.Auth.ClientCA = &config.ClientCA{File: config.ClientCAFile, Rules: rules}
	return invalid(in.Auth.Validate())
}

// invalid returns an error as one of the configuration.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.CodeUsage, "the configuration")
}

// clientRules reads NAME=PATTERN entries. The error is one sentence without its
// subject.
func clientRules(text string) ([]config.ClientRule, error) {
	if text == "" || text == "all" {
		return nil, nil
	}
	const form = "is all, or NAME=ALGORITHM with commas between them, such as robot.example.com=foo/bar,*.lab.example.com=lab/*"
	var rules []config.ClientRule
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		at := strings.LastIndexByte(entry, '=') // a pattern has none, and a name may
		if at < 1 {
			return nil, fmt.Errorf("%s; not %q", form, entry)
		}
		name, pattern := entry[:at], entry[at+1:]
		var v constellation.Validation
		config.CheckIdentityText(&v, "name", "a certificate's name", name)
		config.CheckCallPattern(&v, "pattern", pattern)
		if v.Err() != nil {
			return nil, fmt.Errorf("%s; not %q", form, entry)
		}
		i := slices.IndexFunc(rules, func(r config.ClientRule) bool { return r.Name == name })
		if i < 0 {
			i, rules = len(rules), append(rules, config.ClientRule{Name: name})
		}
		rules[i].Algorithms = append(rules[i].Algorithms, pattern)
	}
	if len(rules) > config.MaxClientRules {
		return nil, fmt.Errorf("has at most %d names; these are %d", config.MaxClientRules, len(rules))
	}
	return rules, nil
}

func checkClientAllow(value string) (string, error) {
	rules, err := clientRules(value)
	if err != nil || len(rules) == 0 {
		return "all", err
	}
	var entries []string
	for _, rule := range rules {
		for _, pattern := range rule.Algorithms {
			entries = append(entries, rule.Name+"="+pattern)
		}
	}
	return strings.Join(entries, ","), nil
}

// checkIdentityText holds a value to what a token can say.
func checkIdentityText(value string) (string, error) {
	var v constellation.Validation
	config.CheckIdentityText(&v, "value", "it", value)
	if v.Err() != nil || strings.Contains(value, ",") {
		return "", fmt.Errorf("is one text of up to 256 characters, without spaces and commas; not %q", value)
	}
	return value, nil
}

func checkAudience(value string) (string, error) {
	var list []string
	for entry := range strings.SplitSeq(value, ",") {
		entry, err := checkIdentityText(strings.TrimSpace(entry))
		if err != nil {
			return "", fmt.Errorf("is whom tokens are for (their aud), with commas between several; not %q", value)
		}
		list = append(list, entry)
	}
	return strings.Join(list, ","), nil
}

func checkJWKS(value string) (string, error) {
	if name, ok := strings.CutPrefix(value, "configmap:"); ok {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) == 0 {
			return value, nil
		}
	}
	var v constellation.Validation
	config.CheckJWKSURL(&v, "jwks", value)
	if v.Err() != nil || !strings.HasPrefix(value, "https://") {
		return "", fmt.Errorf("is where the issuer's public keys are: an https URL, or configmap:NAME of the namespace, with them under %s; not %q", config.JWKSFile, value)
	}
	return value, nil
}

func checkClientCA(value string) (string, error) {
	kind, name, _ := strings.Cut(value, ":")
	if problems := validation.IsDNS1123Subdomain(name); kind != "configmap" && kind != "secret" || len(problems) > 0 {
		return "", fmt.Errorf("is configmap:NAME or secret:NAME of the namespace, with certificates under %s; not %q", render.ClientCAKey, value)
	}
	return value, nil
}

var leewayForm = regexp.MustCompile(formLeeway)

func checkLeeway(value string) (string, error) {
	if !leewayForm.MatchString(value) {
		return "", fmt.Errorf("is a time from 0s to 600s or 10m, such as 30s; not %q", value)
	}
	return value, nil
}
