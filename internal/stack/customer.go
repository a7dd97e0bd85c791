package stack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"             // the login of the customer's registry
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // its storage
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

// CustomerRegistry is a private registry with a login, as a customer runs
// one: distribution's own server over plain HTTP, htpasswd and a folder.
type CustomerRegistry struct {
	Address            string // host:port
	Username, Password string
	// DockerConfig is a folder with the config.json that `docker login` would
	// have written, for DOCKER_CONFIG.
	DockerConfig string

	server *http.Server
	stop   context.CancelFunc
}

// StartCustomerRegistry listens on address and keeps its files under dir.
func StartCustomerRegistry(ctx context.Context, dir, address, password string) (*CustomerRegistry, error) {
	r := &CustomerRegistry{Username: "customer", Password: password, DockerConfig: filepath.Join(dir, "docker")}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		return nil, fmt.Errorf("start the customer's registry: %w", err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return nil, fmt.Errorf("start the customer's registry: %w", err)
	}
	htpasswd := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(htpasswd, fmt.Appendf(nil, "%s:%s\n", r.Username, hash), 0o600); err != nil {
		return nil, fmt.Errorf("start the customer's registry: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the customer's registry: %w", err)
	}
	r.Address = listener.Addr().String()
	config := &configuration.Configuration{
		Storage: configuration.Storage{"filesystem": configuration.Parameters{"rootdirectory": filepath.Join(dir, "data")}},
		Auth:    configuration.Auth{"htpasswd": configuration.Parameters{"realm": "customer", "path": htpasswd}},
	}
	config.HTTP.Secret = password
	config.Catalog.MaxEntries = 100
	logrus.SetOutput(io.Discard) // distribution logs to logrus's one logger
	appContext, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.server = &http.Server{Handler: handlers.NewApp(appContext, config), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	go func() { _ = r.server.Serve(listener) }()
	if err := r.login(); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// login writes what `docker login ADDRESS` would.
func (r *CustomerRegistry) login() error {
	auth := base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password))
	config := map[string]any{"auths": map[string]any{r.Address: map[string]string{"auth": auth}}}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("log in to the customer's registry: %w", err)
	}
	if err := os.MkdirAll(r.DockerConfig, 0o700); err != nil {
		return fmt.Errorf("log in to the customer's registry: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.DockerConfig, "config.json"), data, 0o600); err != nil {
		return fmt.Errorf("log in to the customer's registry: %w", err)
	}
	return nil
}

// Stop ends the registry; its files stay.
func (r *CustomerRegistry) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := r.server.Shutdown(ctx)
	r.stop()
	return err
}
