package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/support"
)

// SupportOptions say what goes into a support bundle.
type SupportOptions struct {
	File  string
	Force bool     // replace a file that is there
	URLs  []string // of servers that are asked; none is where the settings lead
	Build Build
}

// SupportResult is what a support bundle has.
type SupportResult struct {
	File    string   `json:"file"`
	Bytes   int64    `json:"bytes"`
	Parts   int      `json:"parts"`
	Missing []string `json:"missing"` // what could not be had, and why
}

const aboutBundle = `This is what 'mothership support-bundle' could learn of a mothership, in plain
files: JSON, and text.

Taken out, wherever it stood: passwords, keys, tokens, logins in URLs, headers'
values, signatures of addresses, and the values of settings that are secret. No
account, address or name of anybody is taken from the audit log, and nothing of
images. Look through it all the same before you hand it on: names of hosts,
folders and buckets are in it.

`

// SupportBundle writes what helps to find a fault into one file, with the settings of
// cmd. What cannot be had is noted there: a bundle is made when something is wrong.
func SupportBundle(cmd *cobra.Command, c *Config, o SupportOptions) (*SupportResult, error) {
	ctx := cmd.Context()
	if _, err := os.Lstat(o.File); err == nil && !o.Force {
		return nil, command.UsageError{Err: fmt.Errorf("%s is there already: name another file, or replace it with --force", o.File)}
	}
	redactor := &support.Redactor{}
	learnSecrets(redactor, c, os.Environ())
	archive, err := support.Create(support.Options{File: o.File, Redactor: redactor, About: aboutBundle, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	defer archive.Abort()
	b := &supportBundle{Archive: archive, c: c, o: o}
	if err := b.gather(ctx, cmd.Flags()); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	info, err := os.Stat(o.File)
	if err != nil {
		return nil, fmt.Errorf("look at the support bundle: %w", err)
	}
	return &SupportResult{File: o.File, Bytes: info.Size(), Parts: archive.Parts, Missing: append([]string{}, archive.Missing...)}, nil
}

type supportBundle struct {
	*support.Archive
	c *Config
	o SupportOptions
}

// gather adds all parts, those first that need nothing.
func (b *supportBundle) gather(ctx context.Context, flags *pflag.FlagSet) error {
	for _, part := range []struct {
		name string
		get  func(context.Context) (any, error)
	}{
		{"version.json", func(context.Context) (any, error) { return b.version(), nil }},
		{"settings.json", func(context.Context) (any, error) { return settingsInForce(b.c, flags), nil }},
		{"environment.json", func(context.Context) (any, error) { return environmentNames(os.Environ()), nil }},
		{"data-dir.json", func(context.Context) (any, error) { return listing(b.c.dataDir) }},
		{"doctor.json", func(ctx context.Context) (any, error) {
			return Doctor(ctx, b.c, slog.New(slog.DiscardHandler)), nil
		}},
	} {
		if err := b.JSON(ctx, part.name, part.get); err != nil {
			return err
		}
	}
	if err := b.servers(ctx); err != nil {
		return err
	}
	return b.database(ctx)
}

func (b *supportBundle) version() any {
	hostname, _ := os.Hostname() // without, it has none
	return map[string]any{
		"version": b.o.Build.Version, "commit": b.o.Build.Commit, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"processors": runtime.NumCPU(), "at": time.Now().UTC(), "host": hostname,
	}
}

// servers adds what the server tells that runs, or each of those that were named.
func (b *supportBundle) servers(ctx context.Context) error {
	urls := b.o.URLs
	if len(urls) == 0 {
		urls = []string{b.c.ownURL()}
	}
	for i, base := range urls {
		prefix := "server/"
		if len(urls) > 1 {
			prefix = fmt.Sprintf("server-%d/", i+1)
		}
		for _, part := range []struct{ name, path string }{{"readyz.json", "/readyz"}, {"metrics.txt", "/metrics"}} {
			if err := b.Part(ctx, prefix+part.name, func(ctx context.Context) ([]byte, error) { return ask(ctx, base+part.path) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownURL is where a server with these settings answers on this machine.
func (c *Config) ownURL() string {
	host, port, err := net.SplitHostPort(c.listen)
	if err != nil {
		return c.publicURL
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if c.tlsCert != "" || c.acme.directory != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + pathOf(c.publicURL)
}

// ask reads an answer of a server, whose certificate is of another name on its own
// machine. Nothing secret is sent.
func ask(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the server's URL cannot be used: it looks like http://localhost:8080")
	}
	client := &http.Client{
		Timeout:       doctorTime,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // it is only asked how it is
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return nil, fmt.Errorf("no server answers: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return nil, fmt.Errorf("what answers there is no mothership, or not ready: status %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, 2*support.MaxPart))
}

// database adds what the database tells.
func (b *supportBundle) database(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(b.c.dataDir, "postgres")); b.c.databaseURL == "" && err != nil {
		b.Note("database", errors.New("there is none yet, or this user may not see it"))
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, 3*doctorTime)
	defer cancel()
	address, server, err := OpenDatabase(limited, b.c, private.ModeCommand, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Note("database", errors.New(told(err)))
		return ctx.Err()
	}
	if server != nil {
		defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }() // which others may use
	}
	if err := b.JSON(ctx, "database/migrations.json", func(ctx context.Context) (any, error) { return postgres.Status(ctx, address) }); err != nil {
		return err
	}
	db, err := postgres.Open(limited, address)
	if err != nil {
		b.Note("database", errors.New(told(err)))
		return ctx.Err()
	}
	defer db.Close()
	for _, part := range []struct {
		name string
		get  func(context.Context) (any, error)
	}{
		{"database/server.json", func(ctx context.Context) (any, error) { return known(db.ServerStatus(ctx)) }},
		{"database/activity.json", func(ctx context.Context) (any, error) { return known(db.Activities(ctx)) }},
		{"database/tables.json", func(ctx context.Context) (any, error) { return known(db.TableSizes(ctx)) }},
		{"database/slow-statements.json", func(ctx context.Context) (any, error) { return known(db.SlowStatements(ctx)) }},
		{"servers.json", func(ctx context.Context) (any, error) { return known(db.Servers(ctx, time.Hour)) }},
		{"jobs.json", func(ctx context.Context) (any, error) { return known(db.JobCounts(ctx)) }},
		{"failed-jobs.json", func(ctx context.Context) (any, error) { return known(db.FailedJobs(ctx)) }},
		{"audit.json", func(ctx context.Context) (any, error) { return known(db.EventCounts(ctx)) }},
	} {
		if err := b.JSON(ctx, part.name, part.get); err != nil {
			return err
		}
	}
	return nil
}

// known is a result, or none where there is an error: a nil pointer in an any is
// something.
func known[T any](result T, err error) (any, error) {
	if err != nil {
		var e *constellation.Error
		if errors.As(err, &e) && e.Kind != constellation.KindInternal {
			err = e
		}
		return nil, err
	}
	return result, nil
}

// listing is what a folder has at its top, with sizes.
func listing(dir string) (any, error) {
	type entry struct {
		Name  string    `json:"name"`
		Mode  string    `json:"mode"`
		Bytes int64     `json:"bytes"`
		At    time.Time `json:"modified"`
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	list := []entry{}
	for _, e := range entries[:min(len(entries), 200)] {
		info, err := e.Info()
		if err != nil {
			continue // it went away
		}
		list = append(list, entry{e.Name(), info.Mode().String(), info.Size(), info.ModTime().UTC()})
	}
	return map[string]any{"folder": dir, "entries": list}, nil
}
