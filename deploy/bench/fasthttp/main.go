// Command fasthttp is a proxy that does what the engine must do of a call, and
// no more: it checks an API key, and holds its upstream to a number of calls at
// once. `bench engine` puts the engine beside it.
//
// It is a module of its own, so that fasthttp is none of the product's
// dependencies.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"
)

// proxy is a handler with its upstream.
type proxy struct {
	key      []byte // the SHA-256 of the API key
	slots    chan struct{}
	upstream *fasthttp.HostClient
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves on a free port, which it prints: UPSTREAM KEY-SHA256 SLOTS.
func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: fasthttp UPSTREAM KEY-SHA256 SLOTS")
	}
	key, err := hex.DecodeString(args[1])
	if err != nil {
		return fmt.Errorf("read the key's hash: %w", err)
	}
	slots, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("read the number of slots: %w", err)
	}
	p := &proxy{key: key, slots: make(chan struct{}, slots), upstream: &fasthttp.HostClient{Addr: args[0], MaxConns: slots}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println(ln.Addr())
	return fasthttp.Serve(ln, p.serve)
}

func (p *proxy) serve(ctx *fasthttp.RequestCtx) {
	key, ok := bytes.CutPrefix(ctx.Request.Header.Peek("Authorization"), []byte("Simple "))
	if sum := sha256.Sum256(key); !ok || !bytes.Equal(sum[:], p.key) {
		ctx.Error("authorization required", fasthttp.StatusUnauthorized)
		return
	}
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	ctx.Request.Header.Del("Connection")
	if err := p.upstream.Do(&ctx.Request, &ctx.Response); err != nil {
		ctx.Error("the upstream is lost", fasthttp.StatusBadGateway)
		return
	}
	ctx.Response.Header.Del("Connection")
}
