package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs on the cluster",
		Long: `Show which version is downloaded, wanted, installed and running, how each part
does and why, and which versions can be rolled back to. Exit code 1 says that a
part is not ready.`,
		Example: `  ` + launchPath + ` status
  ` + launchPath + ` status -o json | jq .running_version`,
		Args: noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			s, err := install.Status(cmd.Context(), v.folder())
			if err != nil {
				return err
			}
			if err := v.flags.print(v.std.out, s, func(w io.Writer) { printStatus(w, s) }); err != nil {
				return err
			}
			return s.NotReady()
		}),
	}
}

func printStatus(w io.Writer, s *install.StatusResult) {
	fmt.Fprintf(w, "satellite\t%s\nnamespace\t%s on %s\n", s.Satellite, s.Namespace, s.Server)
	number := func(n int) string {
		if n == 0 {
			return "none"
		}
		return strconv.Itoa(n)
	}
	running := number(s.Running)
	if s.Running > 0 && !s.Acknowledged {
		running += " (not every engine has said so)"
	}
	fmt.Fprintf(w, "version\tdownloaded %d, wanted %s, installed %s, running %s\n", s.Downloaded, number(s.Wanted), number(s.Installed), running)
	switch {
	case s.Wanted == 0:
		fmt.Fprintf(w, "\tnot deployed yet\n")
	case s.Wanted != s.Installed:
		fmt.Fprintf(w, "\tthe deploy of version %d is not done; deploy again goes on\n", s.Wanted)
	case s.Downloaded != s.Installed:
		fmt.Fprintf(w, "\tdeploy brings version %d\n", s.Downloaded)
	}
	if s.Expired {
		fmt.Fprintf(w, "expired\ton %s; it serves on\n", s.ExpiresAt.Format(time.DateOnly))
	}
	heartbeat := s.Heartbeat
	if heartbeat == "" {
		heartbeat = "not known to the cluster; the mothership shows it"
	}
	fmt.Fprintf(w, "heartbeat\t%s\n", heartbeat)
	if s.Queue != nil {
		fmt.Fprintf(w, "queue\t%s\n", s.Queue)
	}
	var kept []string
	for _, p := range s.History {
		switch {
		case p.Version == s.Installed:
		case p.RolledBack:
			kept = append(kept, strconv.Itoa(p.Version)+" (was rolled back)")
		default:
			kept = append(kept, strconv.Itoa(p.Version))
		}
	}
	if len(kept) > 0 {
		fmt.Fprintf(w, "rollback\tto %s\n", strings.Join(kept, ", "))
	}
	for _, h := range s.Deployments {
		mark := "✗"
		if h.Ready {
			mark = "✓"
		}
		name := h.Vanity
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(w, "%s %s\t%s\n", mark, name, h)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(w, "! %s\n", note)
	}
}
