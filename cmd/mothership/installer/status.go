package installer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/terminal"
)

func (v verbs) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs on the cluster",
		Long: `Show which version is downloaded, wanted, installed and running, how each part
does and why, when the mothership took a heartbeat last, and which versions can be
rolled back to. Exit code 1 says that a part is not ready, 3 that all is ready and
something newer is there: downloaded, or at the mothership as the engines know it.

--watch looks again every few seconds until Ctrl-C: a terminal is drawn anew,
elsewhere the lines that changed are printed.`,
		Example: `  ` + launchPath + ` status
  ` + launchPath + ` status --watch
  ` + launchPath + ` status -o json | jq .running_version`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if watch {
				return v.watchStatus(cmd.Context())
			}
			s, err := install.Status(cmd.Context(), v.folder())
			if err != nil {
				return err
			}
			if err := v.flags.print(v.std.Out, s, func(w io.Writer) { printStatus(w, s) }); err != nil {
				return err
			}
			return cmp.Or(s.NotReady(), s.Behind())
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "look again every few seconds until Ctrl-C")
	return cmd
}

// watchInterval is how often status looks again.
const watchInterval = 2 * time.Second

// watchStatus shows the status until ctx ends. What fails after the first look is
// shown, and looked at again: a cluster that is away comes back.
func (v verbs) watchStatus(ctx context.Context) error {
	view, screen := terminal.NewView(v.std.Out), terminal.File(v.std.Out)
	for first := true; ctx.Err() == nil; first = false {
		var text bytes.Buffer
		s, err := install.Status(ctx, v.folder())
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintf(&text, "! %s\n", terminal.OneLine(err.Error()))
		default:
			if screen == nil {
				s.HeartbeatAge = nil // which is another one at each look
			}
			if err := v.flags.printLine(&text, s, func(w io.Writer) { printStatus(w, s) }); err != nil {
				return err
			}
		}
		if err := view.Show(text.String(), time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchInterval):
		}
	}
	return nil
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
	case s.Mothership > s.Installed:
		fmt.Fprintf(w, "\tthe mothership has version %d; get and deploy bring it\n", s.Mothership)
	}
	if s.Expired {
		fmt.Fprintf(w, "expired\ton %s; it serves on\n", s.ExpiresAt.Format(time.DateOnly))
	}
	fmt.Fprintf(w, "heartbeat\t%s\n", heartbeatText(s))
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
	printEgress(w, s.Egress)
	for _, note := range s.Notes {
		fmt.Fprintf(w, "! %s\n", note)
	}
}

// heartbeatText says when the mothership took a heartbeat, and why it does not.
func heartbeatText(s *install.StatusResult) string {
	text := "not known to the cluster; the mothership shows it"
	switch {
	case !s.Reports:
		return "turned off"
	case s.HeartbeatAge != nil:
		text = fmt.Sprintf("taken %s ago, at %s", time.Duration(*s.HeartbeatAge)*time.Second, s.Heartbeat)
	case s.Heartbeat != "":
		text = "taken at " + s.Heartbeat
	case s.Problem != "":
		text = "none was taken yet"
	}
	if s.Problem != "" {
		text += "; the last one was not: " + terminal.OneLine(s.Problem)
	}
	return text
}
