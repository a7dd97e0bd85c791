package durable

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// secret returns what the queue's nodes and request ids are sealed with: the
// launch's token, or without one, on a laptop, what is made once beside the queue.
func (s *Service) secret() ([]byte, error) {
	token, err := os.ReadFile(s.TokenFile)
	if err == nil {
		return bytes.TrimSpace(token), nil
	}
	if !os.IsNotExist(err) || !s.OwnSecret || s.Dir == "" {
		return nil, fmt.Errorf("the queue needs the launch's token: %w", err)
	}
	return ownSecret(s.Dir)
}

// secretFile holds the secret of a queue without a launch.
const secretFile = "secret"

// ownSecret returns the secret in a queue's folder, and makes it when there is
// none.
func ownSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, secretFile)
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) > 0 {
		return secret, nil
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read the queue's secret: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	secret = []byte(rand.Text())
	if err := os.WriteFile(path+".new", secret, 0o600); err != nil {
		return nil, fmt.Errorf("keep the queue's secret: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, fmt.Errorf("keep the queue's secret: %w", err)
	}
	return secret, nil
}
