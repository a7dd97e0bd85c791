package peer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The bytes of a message are what the package's documentation says: engines of
// two releases link while one replaces the other.
func TestMessageFormat(t *testing.T) {
	for _, test := range []struct {
		m    message
		want string
	}{
		{message{kind: kindAcquire, request: 300, algorithm: "foo/bar", text: "key", n: 1}, "\x01\xac\x02\x01\x07foo/barkey"},
		{message{kind: kindAcquire, request: 1, algorithm: "foo/bar", n: flagDurable}, "\x01\x01\x02\x07foo/bar"},
		{message{kind: kindAcquire, request: 1, algorithm: "foo/bar", n: flagRetry | flagDurable}, "\x01\x01\x03\x07foo/bar"},
		{message{kind: kindGrant, request: 1, algorithm: "foo/bar", text: "10.0.0.1:80", n: 1}, "\x02\x01\x01\x07foo/bar10.0.0.1:80"},
		{message{kind: kindRelease, request: 1, algorithm: "foo/bar", text: "a:1", n: 2}, "\x05\x01\x02\x07foo/bara:1"},
		{message{kind: kindClaim, request: 1, algorithm: "foo/bar", text: "a:1", n: 7}, "\x06\x01\x07\x07foo/bara:1"},
		{message{kind: kindGrant, request: 1, algorithm: "foo/bar", text: "10.0.0.1:80"}, "\x02\x01\x00\x07foo/bar10.0.0.1:80"},
		{message{kind: kindRefuse, request: 1, n: 3}, "\x03\x01\x03\x00"},
		{message{kind: kindCancel, request: 128}, "\x04\x80\x01\x00\x00"},
		{message{kind: kindRelease, algorithm: "foo/bar", text: "a:1", n: 2}, "\x05\x00\x02\x07foo/bara:1"},
		{message{kind: kindClaim, algorithm: "foo/bar", text: "a:1", n: 7}, "\x06\x00\x07\x07foo/bara:1"},
		{message{kind: kindState, n: 1}, "\x07\x00\x01\x00"},
		{message{kind: kindReport, text: "{}"}, "\x08\x00\x00\x00{}"},
		{message{kind: kindSpent, text: "id"}, "\x09\x00\x00\x00id"},
	} {
		if diff := cmp.Diff(test.want, string(test.m.append(nil))); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.m, diff)
		}
		if got, err := parseMessage([]byte(test.want)); err != nil || got != test.m {
			t.Errorf("parseMessage(%q) = %+v, %v, want %+v", test.want, got, err, test.m)
		}
	}
}

// What two engines agree on can be made of the documentation alone.
func TestHandshakeFormat(t *testing.T) {
	m := New(t.Context(), Options{Secret: Secret([]byte("token\n"))})
	secret := sha256.Sum256([]byte("constellation peer\ntoken\n"))
	dialer, dialerNonce := newNonce()
	acceptor, acceptorNonce := newNonce()
	proof := func(word string) string {
		mac := hmac.New(sha256.New, secret[:])
		for _, s := range []string{word, "id-1", "id-22", dialerNonce, acceptorNonce} {
			fmt.Fprintf(mac, "%d:%s\n", len(s), s)
		}
		return hex.EncodeToString(mac.Sum(nil))
	}
	if got := m.proof("accept", "id-1", "id-22", dialerNonce, acceptorNonce); got != proof("accept") {
		t.Errorf("proof = %s, want %s", got, proof("accept"))
	}
	shared, err := dialer.ECDH(acceptor.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := hkdf.Key(sha256.New, append(shared, secret[:]...), nil, proof("link"), 64)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := m.linkKeys(acceptor, dialerNonce, "id-1", "id-22", dialerNonce, acceptorNonce)
	if err != nil {
		t.Fatal(err)
	}
	for i, aead := range []cipher.AEAD{ours, theirs} {
		c := newConn(nil, nil, aead, aead)
		sent := c.seal(c.seal(nil, &message{kind: kindState}), &message{kind: kindState, n: 1})
		block, err := aes.NewCipher(keys[32*i : 32*i+32])
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []string{"\x07\x00\x00\x00", "\x07\x00\x01\x00"} {
			size := binary.BigEndian.Uint32(sent)
			text, err := gcm.Open(nil, binary.BigEndian.AppendUint64(make([]byte, 4), uint64(n+1)), sent[4:4+size], nil)
			if err != nil || string(text) != want {
				t.Errorf("direction %d, message %d = %q, %v, want %q", i, n, text, err, want)
			}
			sent = sent[4+size:]
		}
	}
}

// Engines of all releases choose the same slot owner.
func TestScore(t *testing.T) {
	for _, test := range []struct {
		algorithm, id string
		want          uint64
	}{
		{"foo/bar", "0123456789abcdef", 0x2be35678e35c8f07},
		{"foo/bar", "0123456789abcdee", 0x9e7db0c8d4c21042},
	} {
		if got := score(test.algorithm, test.id); got != test.want {
			t.Errorf("score(%q, %q) = %#x, want %#x", test.algorithm, test.id, got, test.want)
		}
	}
}
