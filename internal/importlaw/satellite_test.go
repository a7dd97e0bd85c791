package importlaw

import (
	"slices"
	"strings"
	"testing"
)

// engineParts are the engine's alone: it wires them, and nobody else knows them,
// but for those parts whose rule in direct names them.
var engineParts = []string{
	"internal/satellite/async", "internal/satellite/authn", "internal/satellite/batch", "internal/satellite/call", "internal/satellite/callback",
	"internal/satellite/discovery", "internal/satellite/durable", "internal/satellite/eventloop", "internal/satellite/identity", "internal/satellite/insight", "internal/satellite/keyring", "internal/satellite/memory",
	"internal/satellite/passthrough", "internal/satellite/peer", "internal/satellite/peerloop", "internal/satellite/pool", "internal/satellite/probe", "internal/satellite/protocol",
	"internal/satellite/reload", "internal/satellite/routing", "internal/satellite/scale", "internal/satellite/schedule", "internal/satellite/telemetry", "internal/satellite/tlsserve", "internal/satellite/upkeep", "internal/satellite/upstream",
}

func TestOnlyTheEngineKnowsItsParts(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if under(path, append(slices.Clone(engineParts), "internal/satellite/engine")) {
			continue
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module); ok && under(own, engineParts) {
				t.Errorf("%s imports %s, which is a part of the engine alone", path, own)
			}
		}
	}
}

// socketFree do their work without a connection.
var socketFree = []string{"internal/satellite/jsonscan", "internal/satellite/memory", "internal/satellite/pool"}

func TestWhatKnowsNoSockets(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !under(path, socketFree) {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "net" || imported == "net/http" {
				t.Errorf("%s imports %s: it is to know no sockets", path, imported)
			}
		}
	}
}
