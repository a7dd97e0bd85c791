// The provider is a real provider of OpenID Connect for tests: the certified library
// of ZITADEL with its example's login page, over people who are in a file. It ends with
// its standard input.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	listen := flag.String("listen", "", "the address to listen on; the issuer is http:// and this")
	file := flag.String("people", "", "the file with the people, by their subjects")
	client := flag.String("client", "", "the client's ID and secret, with a colon between them")
	redirect := flag.String("redirect", "", "where browsers are sent back to")
	flag.Parse()
	if err := run(*listen, people{*file}, *client, *redirect); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen string, p people, client, redirect string) error {
	id, secret, _ := strings.Cut(client, ":")
	storage.RegisterClients(storage.WebClient(id, secret, redirect))
	handler := exampleop.SetupServer("http://"+listen, &store{storage.NewStorage(p), p}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), true)
	server := &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// person is somebody whom the provider knows.
type person struct {
	Username, Password string
	Groups             []string
	Disabled           bool
}

// people are read anew each time, so that a test changes them by their file.
type people struct{ file string }

func (p people) all() map[string]person {
	data, err := os.ReadFile(p.file)
	list := map[string]person{}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		slog.Error("read the people", "error", err)
	}
	return list
}

// GetUserByID is part of storage.UserStore; who is disabled is nobody.
func (p people) GetUserByID(id string) *storage.User {
	found, ok := p.all()[id]
	if !ok || found.Disabled {
		return nil
	}
	return &storage.User{ID: id, Username: found.Username, Password: found.Password, Email: found.Username + "@corp.example", EmailVerified: true}
}

// GetUserByUsername is part of storage.UserStore.
func (p people) GetUserByUsername(name string) *storage.User {
	for id, found := range p.all() {
		if found.Username == name {
			return p.GetUserByID(id)
		}
	}
	return nil
}

// ExampleClientID is part of storage.UserStore.
func (people) ExampleClientID() string { return storage.ServiceUserID }

// store is the example's, with groups, and which refreshes nobody who is disabled.
type store struct {
	*storage.Storage
	people people
}

// TokenRequestByRefreshToken is part of op.Storage.
func (s *store) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	request, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if s.people.GetUserByID(request.GetSubject()) == nil {
		return nil, errors.New("the user is disabled")
	}
	return request, nil
}

// SetUserinfoFromToken is part of op.Storage.
func (s *store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if err := s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin); err != nil {
		return err
	}
	info.AppendClaims("groups", s.people.all()[subject].Groups)
	return nil
}
