package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// requestTimeout ends a request to the API server that does not answer.
const requestTimeout = 30 * time.Second

// Cluster is one namespace of one Kubernetes cluster.
type Cluster struct {
	Namespace string
	Server    string // the API server's address
	Version   string // such as v1.32.2
	APIs      APIs

	// ForceConflicts takes fields back that others have set since.
	ForceConflicts bool
	// LookEvery is how often a rollout looks whether another one began. One
	// that took over prunes twice as long after its begin: by then the other
	// one has looked, and writes no more.
	LookEvery time.Duration

	dynamic dynamic.Interface
	typed   kubernetes.Interface
	http    *http.Client
}

// ErrUnreachable is wrapped by Connect when no API server answers.
var ErrUnreachable = errors.New("the cluster does not answer")

// ErrKubeconfig is wrapped by Connect and CheckKubeconfig when the file cannot
// be used.
var ErrKubeconfig = errors.New("the kubeconfig cannot be used")

// ErrPlugin is an ErrKubeconfig that another machine may not have: the
// credential plugin is not installed.
var ErrPlugin = fmt.Errorf("%w", ErrKubeconfig)

// CheckKubeconfig reads a kubeconfig and finds the context, "" being the
// file's current one. It does not connect.
func CheckKubeconfig(path, context string) error {
	_, err := loadKubeconfig(path, context)
	return err
}

func loadKubeconfig(path, context string) (*rest.Config, error) {
	file, err := clientcmd.LoadFromFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s: %w", path, ErrKubeconfig)
	case err != nil:
		return nil, fmt.Errorf("read kubeconfig %s: %w: %w", path, err, ErrKubeconfig)
	case len(file.Contexts) == 0:
		return nil, fmt.Errorf("%s has no contexts, so it is no kubeconfig: %w", path, ErrKubeconfig)
	}
	name := context
	if name == "" {
		name = file.CurrentContext
	}
	if name == "" {
		return nil, fmt.Errorf("kubeconfig %s names no current context; set stage.kubernetes.context to one of %s: %w", path, keysOf(file.Contexts), ErrKubeconfig)
	}
	if _, ok := file.Contexts[name]; !ok {
		return nil, fmt.Errorf("kubeconfig %s has no context %q; it has %s: %w", path, name, keysOf(file.Contexts), ErrKubeconfig)
	}
	if err := checkPlugin(path, file.AuthInfos[file.Contexts[name].AuthInfo]); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use context %q of kubeconfig %s: %w: %w", name, path, err, ErrKubeconfig)
	}
	return config, nil
}

// checkPlugin finds a credential plugin that is not installed, before a request
// fails for it.
func checkPlugin(path string, user *clientcmdapi.AuthInfo) error {
	if user == nil || user.Exec == nil || user.Exec.Command == "" {
		return nil
	}
	command := user.Exec.Command
	if strings.ContainsRune(command, filepath.Separator) && !filepath.IsAbs(command) {
		command = filepath.Join(filepath.Dir(path), command)
	}
	if _, err := exec.LookPath(command); err == nil {
		return nil
	}
	hint := "install it, or use a kubeconfig with a token or a certificate"
	if user.Exec.InstallHint != "" {
		hint = strings.TrimSpace(user.Exec.InstallHint)
	}
	return fmt.Errorf("kubeconfig %s gets its credentials from the program %q, which is not installed on this machine (%s): %w", path, user.Exec.Command, hint, ErrPlugin)
}

// Connect reaches the cluster of a kubeconfig's context and asks for its
// version and APIs. The Cluster's requests have the same patience.
func Connect(ctx context.Context, path, contextName, namespace string, patience Patience) (*Cluster, error) {
	config, err := loadKubeconfig(path, contextName)
	if err != nil {
		return nil, err
	}
	config.UserAgent = FieldManager
	config.QPS = -1 // the server has its own fairness
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(base http.RoundTripper) http.RoundTripper {
		return &patientTransport{Patience: patience, base: base}
	})
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, ErrKubeconfig)
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, ErrKubeconfig)
	}
	untyped, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("use kubeconfig %s: %w: %w", path, err, ErrKubeconfig)
	}
	c := &Cluster{Namespace: namespace, Server: config.Host, dynamic: untyped, typed: typed, http: client, LookEvery: lookEvery}
	if c.APIs, c.Version, err = discover(ctx, typed.Discovery()); err != nil {
		var status apierrors.APIStatus
		if errors.As(err, &status) {
			return nil, fmt.Errorf("%s: %w", config.Host, err)
		}
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // without the URL
		}
		if errors.Is(err, ErrUnreachable) {
			return nil, fmt.Errorf("%s: %w", config.Host, err)
		}
		return nil, fmt.Errorf("%s: %w: %w", config.Host, ErrUnreachable, wrongClock(err))
	}
	return c, ctx.Err()
}

// wrongClock says of a certificate that is not valid now that it may be this
// machine's clock; any other error stays.
func wrongClock(err error) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return err
	}
	return fmt.Errorf("its certificate is not valid now, which this machine's clock says is %s; set the clock if that is wrong", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// resource gives the client of an object's kind.
func (c *Cluster) resource(apiVersion, kind string) (dynamic.ResourceInterface, error) {
	gvr, err := c.APIs.resourceOf(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	return c.client(gvr, kind), nil
}

func (c *Cluster) client(gvr schema.GroupVersionResource, kind string) dynamic.ResourceInterface {
	if kind == "Namespace" {
		return c.dynamic.Resource(gvr)
	}
	return c.dynamic.Resource(gvr).Namespace(c.Namespace)
}

// get reads an object as it is on the cluster; nil when there is none.
func (c *Cluster) get(ctx context.Context, apiVersion, kind, name string) (*unstructured.Unstructured, error) {
	client, err := c.resource(apiVersion, kind)
	if err != nil {
		return nil, err
	}
	object, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s/%s: %w", kind, name, err)
	}
	return object, nil
}

// CurrentContext gives the context that a kubeconfig itself chooses.
func CurrentContext(path string) (string, error) {
	file, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return "", fmt.Errorf("read kubeconfig %s: %w", path, err)
	}
	return file.CurrentContext, nil
}
