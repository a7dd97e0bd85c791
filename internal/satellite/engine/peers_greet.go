package engine

import (
	"bufio"
	"context"
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

// handshake dials; both ends prove that they have the secret.
func (p *peers) handshake(ctx context.Context, addr string) (*link, error) {
	dialer := net.Dialer{Timeout: peerDialing}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l, err := p.greet(conn, addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (p *peers) greet(conn net.Conn, addr string) (*link, error) {
	_ = conn.SetDeadline(time.Now().Add(peerDialing))
	nonce := newNonce()
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Peer-Id: %s\r\nX-Peer-Nonce: %s\r\n\r\n",
		peerPath, addr, peerProtocol, p.id, nonce)
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
	case id == p.id:
		return nil, errSelf
	case !p.proves(res.Header.Get("X-Peer-Proof"), "accept", p.id, id, nonce, theirs):
		return nil, errors.New("the engine does not have this launch's token")
	}
	if _, err := io.WriteString(conn, p.proof("dial", p.id, id, nonce, theirs)); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return newLink(p, id, p.id, conn, in), nil
}

// serve is the other end of greet.
func (p *peers) serve(w http.ResponseWriter, r *http.Request) {
	id, theirs := r.Header.Get("X-Peer-Id"), r.Header.Get("X-Peer-Nonce")
	if p.secret == nil || r.Header.Get("Upgrade") != peerProtocol || id == "" || len(theirs) != 32 {
		var none *call
		_ = p.e.write(w, none, none.failed(refuse(http.StatusNotFound, "there is nothing here; algorithms are called at "+callPrefix+"…")))
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	l, err := p.accept(conn, buffered.Reader, id, theirs)
	if err != nil {
		p.e.log.Debug("a link was refused", "remote", r.RemoteAddr, "error", err)
		_ = conn.Close()
		return
	}
	p.tasks.Go(func() { p.hold(p.e.background, l) })
}

func (p *peers) accept(conn net.Conn, in *bufio.Reader, id, theirs string) (*link, error) {
	_ = conn.SetDeadline(time.Now().Add(peerDialing))
	nonce := newNonce()
	_, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Peer-Id: %s\r\nX-Peer-Nonce: %s\r\nX-Peer-Proof: %s\r\n\r\n",
		peerProtocol, p.id, nonce, p.proof("accept", id, p.id, theirs, nonce))
	if err != nil {
		return nil, err
	}
	proof := make([]byte, 2*sha256.Size)
	if _, err := io.ReadFull(in, proof); err != nil {
		return nil, err
	}
	if !p.proves(string(proof), "dial", id, p.id, theirs, nonce) {
		return nil, errors.New("the engine does not have this launch's token")
	}
	_ = conn.SetDeadline(time.Time{})
	return newLink(p, id, id, conn, in), nil
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (p *peers) proof(words ...string) string {
	mac := hmac.New(sha256.New, p.secret)
	for _, word := range words {
		_, _ = fmt.Fprintf(mac, "%d:%s\n", len(word), word)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func (p *peers) proves(proof string, words ...string) bool {
	return hmac.Equal([]byte(proof), []byte(p.proof(words...)))
}
