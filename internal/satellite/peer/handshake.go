package peer

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const protocol = "constellation-peer-2" // sealed since 2

// errStranger is the error of an engine that is not of this launch.
var errStranger = errors.New("the engine does not have this launch's token")

// handshake dials. Both ends prove that they have the secret, and agree on the
// keys by which all that follows is sealed.
func (m *Mesh) handshake(ctx context.Context, addr string) (*link, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l, err := m.greet(conn, addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (m *Mesh) greet(conn net.Conn, addr string) (*link, error) {
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	key, nonce := newNonce()
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Peer-Id: %s\r\nX-Peer-Nonce: %s\r\n\r\n",
		Path, addr, protocol, m.id, nonce)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil) //nolint:bodyclose // 101 has no body, and the connection is ours
	if err != nil {
		return nil, err
	}
	id, theirs := res.Header.Get("X-Peer-Id"), res.Header.Get("X-Peer-Nonce")
	switch {
	case res.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("the engine answered %s", res.Status)
	case id == m.id:
		return nil, errSelf
	case !m.proves(res.Header.Get("X-Peer-Proof"), "accept", m.id, id, nonce, theirs):
		return nil, errStranger
	}
	ours, others, err := m.linkKeys(key, theirs, m.id, id, nonce, theirs)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, m.proof("dial", m.id, id, nonce, theirs)); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return newLink(m, id, m.id, newConn(conn, in, ours, others)), nil
}

// Accept takes the link that another engine dials, and serves it for as long as
// the mesh lives. It reports false, having answered nothing, when the request is
// not another engine's.
func (m *Mesh) Accept(w http.ResponseWriter, r *http.Request) bool {
	id, theirs := r.Header.Get("X-Peer-Id"), r.Header.Get("X-Peer-Nonce")
	if m.opts.Secret == nil || r.Header.Get("Upgrade") != protocol || id == "" || len(theirs) != nonceLength {
		return false
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return true
	}
	l, err := m.accept(conn, buffered.Reader, id, theirs)
	if err != nil {
		m.opts.Log.Debug("a link was refused", "remote", r.RemoteAddr, "error", err)
		_ = conn.Close()
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		_ = conn.Close()
		return true
	}
	m.tasks.Go(func() { m.serve(m.lifetime, l) })
	return true
}

// accept is the other end of greet.
func (m *Mesh) accept(conn net.Conn, in *bufio.Reader, id, theirs string) (*link, error) {
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	key, nonce := newNonce()
	others, ours, err := m.linkKeys(key, theirs, id, m.id, theirs, nonce)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Peer-Id: %s\r\nX-Peer-Nonce: %s\r\nX-Peer-Proof: %s\r\n\r\n",
		protocol, m.id, nonce, m.proof("accept", id, m.id, theirs, nonce))
	if err != nil {
		return nil, err
	}
	proof := make([]byte, 2*sha256.Size)
	if _, err := io.ReadFull(in, proof); err != nil {
		return nil, err
	}
	if !m.proves(string(proof), "dial", id, m.id, theirs, nonce) {
		return nil, errStranger
	}
	_ = conn.SetDeadline(time.Time{})
	return newLink(m, id, id, newConn(conn, in, ours, others)), nil
}

// nonceLength is that of an X25519 key in hex.
const nonceLength = 64

// newNonce returns a key for one handshake. Its public half, in hex, is the nonce
// that the other end is sent.
func newNonce() (*ecdh.PrivateKey, string) {
	key, _ := ecdh.X25519().GenerateKey(rand.Reader) // which never fails
	return key, hex.EncodeToString(key.PublicKey().Bytes())
}

// linkKeys returns the keys of both directions of a link, the dialer's first. They
// are made of the ephemeral keys, so that who learns the launch's token later
// cannot read what was recorded, and of the token's hash, which the proofs show
// that both ends have. words are those of the proofs.
func (m *Mesh) linkKeys(key *ecdh.PrivateKey, theirs string, words ...string) (dialer, acceptor cipher.AEAD, err error) {
	raw, err := hex.DecodeString(theirs)
	if err != nil {
		return nil, nil, errGarbled
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read the engine's key: %w", err)
	}
	shared, err := key.ECDH(public)
	if err != nil {
		return nil, nil, fmt.Errorf("agree on a key: %w", err)
	}
	const size = 32
	secret, err := hkdf.Key(sha256.New, append(shared, m.opts.Secret...), nil, m.proof(append([]string{"link"}, words...)...), 2*size)
	if err != nil {
		return nil, nil, err
	}
	if dialer, err = newAEAD(secret[:size]); err != nil {
		return nil, nil, err
	}
	acceptor, err = newAEAD(secret[size:])
	return dialer, acceptor, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// proof returns the proof that this engine has the secret, for words.
func (m *Mesh) proof(words ...string) string {
	mac := hmac.New(sha256.New, m.opts.Secret)
	for _, word := range words {
		_, _ = fmt.Fprintf(mac, "%d:%s\n", len(word), word)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func (m *Mesh) proves(proof string, words ...string) bool {
	return hmac.Equal([]byte(proof), []byte(m.proof(words...)))
}
