package bundle

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotated makes n rotations, and returns every key and what a launch carries then.
func rotated(t *testing.T, n int) ([]ed25519.PrivateKey, Signature) {
	t.Helper()
	keys := make([]ed25519.PrivateKey, n+1)
	for i := range keys {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	s := Sign(keys[n], []byte("root"))
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	for i := range n {
		r, err := Rotate(keys[i], keys[i+1], i+1, at, at.Add(time.Hour), false)
		if err != nil {
			t.Fatal(err)
		}
		s.Rotations = append(s.Rotations, r)
	}
	return keys, s
}

func TestAChainOfRotationsIsRead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, MaxRotations} {
		keys, s := rotated(t, n)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var read Signature
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		chain, err := read.Chain()
		if err != nil || len(chain) != n {
			t.Fatalf("Chain of %d rotations = %d, %v", n, len(chain), err)
		}
		for i, step := range chain {
			if KeyID(step.OldKey) != KeyID(keys[i].Public().(ed25519.PublicKey)) || step.Sequence != i+1 {
				t.Errorf("rotation %d = %+v", i+1, step)
			}
		}
		if len(text) > 700*n+500 {
			t.Errorf("%d rotations take %d bytes", n, len(text))
		}
	}
}

// TestAWrongChainIsRefused: nothing of one that is forged, cut, out of order or too
// long counts, and one sentence says why.
func TestAWrongChainIsRefused(t *testing.T) {
	t.Parallel()
	resign := func(key ed25519.PrivateKey, r Rotation) []byte {
		return ed25519.Sign(key, append([]byte(rotationDomain), r.Statement...))
	}
	for name, tt := range map[string]struct {
		wrong func(keys []ed25519.PrivateKey, s *Signature)
		want  string
	}{
		"a forged old signature": {func(keys []ed25519.PrivateKey, s *Signature) { s.Rotations[1].Old = resign(keys[3], s.Rotations[1]) }, "rotation 2 of the signing key is not right, for the key before"},
		"no old signature":       {func(_ []ed25519.PrivateKey, s *Signature) { s.Rotations[1].Old = nil }, "has not signed it"},
		"a forged new signature": {func(keys []ed25519.PrivateKey, s *Signature) { s.Rotations[0].New = resign(keys[0], s.Rotations[0]) }, "the new key"},
		"another statement": {func(_ []ed25519.PrivateKey, s *Signature) {
			s.Rotations[0].Statement = []byte(strings.Replace(string(s.Rotations[0].Statement), "2026", "2027", 1))
		}, "has not signed it"},
		"a launch's signature": {func(keys []ed25519.PrivateKey, s *Signature) {
			s.Rotations[0].Old = ed25519.Sign(keys[0], s.Rotations[0].Statement)
		}, "has not signed it"},
		"no statement":      {func(_ []ed25519.PrivateKey, s *Signature) { s.Rotations[0].Statement = []byte("{}") }, "it cannot be read"},
		"a large statement": {func(_ []ed25519.PrivateKey, s *Signature) { s.Rotations[0].Statement = make([]byte, maxStatement+1) }, "at most 2048 are read"},
		"cut in the middle": {func(_ []ed25519.PrivateKey, s *Signature) { s.Rotations = slices.Delete(s.Rotations, 1, 2) }, "rotation 2 of the signing key does not go on"},
		"cut at the end":    {func(_ []ed25519.PrivateKey, s *Signature) { s.Rotations = s.Rotations[:2] }, "lead to key"},
		"reordered": {func(_ []ed25519.PrivateKey, s *Signature) {
			s.Rotations[0], s.Rotations[1] = s.Rotations[1], s.Rotations[0]
		}, "does not go on"},
		"twice the same": {func(_ []ed25519.PrivateKey, s *Signature) {
			s.Rotations = slices.Insert(s.Rotations, 1, s.Rotations[0])
		}, "does not go on"},
		"another number": {func(keys []ed25519.PrivateKey, s *Signature) {
			s.Rotations[2], _ = Rotate(keys[2], keys[3], 7, time.Now(), time.Now(), false)
		}, "does not go on"},
		"too long": {func(_ []ed25519.PrivateKey, s *Signature) {
			for len(s.Rotations) <= MaxRotations {
				s.Rotations = append(s.Rotations, s.Rotations[0])
			}
		}, "at most 64 are read"},
		"a revoked key that signs": {func(keys []ed25519.PrivateKey, s *Signature) {
			s.Rotations[2], _ = Rotate(keys[2], keys[3], 3, time.Now(), time.Now(), true)
			s.Rotations[2].Old = resign(keys[2], s.Rotations[2])
		}, "which it revokes, has signed it"},
	} {
		keys, s := rotated(t, 3)
		tt.wrong(keys, &s)
		chain, err := s.Chain()
		if !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || chain != nil {
			t.Errorf("%s: Chain = %v, %v; want %q", name, chain, err, tt.want)
		}
	}
}
