package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// tokenFile is beside routes.json and keys.json in a pod: the launch's token.
const tokenFile = "token"

// readSecret reads what the engines have in common; nil without a token, and
// then there are no links.
func readSecret(opts Options) ([]byte, error) {
	path := opts.TokenFile
	if path == "" {
		path = filepath.Join(opts.Dir, tokenFile)
	}
	token, err := os.ReadFile(path)
	switch {
	case err == nil:
		return peerSecret(token), nil
	case !errors.Is(err, fs.ErrNotExist) || opts.TokenFile != "":
		return nil, fmt.Errorf("read the token: %w", err)
	case len(opts.Peers) > 0:
		return nil, fmt.Errorf("other engines are named and there is no token to know them by: put the same %s into each engine's folder", path)
	}
	return nil, nil
}

// peerAddresses are the satellite's engines as far as known, this one
// perhaps among them.
func (e *Engine) peerAddresses() []string {
	if len(e.opts.Peers) > 0 || e.watcher == nil {
		return e.opts.Peers
	}
	hosts := e.watcher.engines(e.opts.PeerService)
	for i, host := range hosts {
		hosts[i] = net.JoinHostPort(host, e.port)
	}
	return hosts
}

// peersKnown says whether peerAddresses is complete.
func (e *Engine) peersKnown() bool {
	return len(e.opts.Peers) > 0 || e.watcher == nil || e.watcher.synced()
}
