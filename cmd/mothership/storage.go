package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/web/component"
)

func newStorageCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "storage",
		Short: "Move the registry's images to another place, or verify them",
	}, newStorageCopyCommand(std), newStorageVerifyCommand(std))
}

// found is damage that was printed; its exit code tells it from a failure.
type found struct{ error }

// Silent keeps it from being printed again.
func (found) Silent() bool { return true }

// ExitCode returns 3: it was looked, and something is wrong.
func (found) ExitCode() int { return 3 }

func newStorageCopyCommand(std command.Streams) *cobra.Command {
	var output command.Output
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy the registry's images from one place to another",
		Long: `Copy the registry's images from one place to another, each written ` + storage.Forms + `.

Every blob is held to its digest on the way; one that is damaged at FROM is left out,
named, and makes the exit code 3. It may be stopped at any moment and run again, and
copies only what TO lacks. TO is empty, or an older copy of FROM. A server may go on on FROM meanwhile: to move, copy, stop
the server, copy once more, which is short, and start it with --storage TO.

The exit code is 0 when all of it is at TO, 3 when something at FROM is damaged, 1 when
it was stopped or could not go on.`,
		Example: "  mothership storage copy file:///var/lib/constellation/registry 's3://images/constellation?region=eu-central-1'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return command.UsageError{Err: errors.New("storage copy takes two places, FROM and TO")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := parsePlace("FROM", args[0])
			if err != nil {
				return err
			}
			to, err := parsePlace("TO", args[1])
			if err != nil {
				return err
			}
			return copyStorage(cmd.Context(), std, &output, from, to)
		},
	}
	output.Add(cmd)
	return cmd
}

func parsePlace(name, text string) (storage.Location, error) {
	l, err := storage.ParseLocation(text)
	if err != nil {
		return l, command.UsageError{Err: errors.New(name + ": " + err.Error())} // a domain error is printed without what is before it
	}
	return l, nil
}

// copiedOutput is what -o json prints.
type copiedOutput struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	Blobs       int64    `json:"blobs"` // at TO now
	Bytes       int64    `json:"bytes"` // of those at FROM
	Copied      int64    `json:"copied"`
	CopiedBytes int64    `json:"copied_bytes"`
	Damaged     []string `json:"damaged"`
}

func copyStorage(ctx context.Context, std command.Streams, output *command.Output, from, to storage.Location) error {
	c, err := storage.NewCopier(ctx, from, to)
	if constellation.KindOf(err) == constellation.KindInvalid {
		return command.UsageError{Err: err}
	}
	if err != nil {
		return copyStopped(ctx, err, storage.Copied{})
	}
	line := func() string {
		p := c.Progress()
		return fmt.Sprintf("copied %d blobs, %s; %d of %d there", p.Done, component.Bytes(p.Moved), p.Done+p.There, p.Blobs)
	}
	stop := showProgress(std, line)
	err = errors.Join(c.Run(ctx), c.Close())
	stop()
	p := c.Progress()
	if err != nil {
		return copyStopped(ctx, err, p)
	}
	if output.JSON() {
		value := copiedOutput{
			From: from.String(), To: to.String(), Blobs: p.Done + p.There, Bytes: p.Bytes, Copied: p.Done, CopiedBytes: p.Moved, Damaged: append([]string{}, p.DamagedDigests...),
		}
		if err := output.Print(std, value, nil, nil); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(std.Out, "%s has %d blobs, %s: %d copied, %d there before\n", to, p.Done+p.There, component.Bytes(p.Bytes), p.Done, p.There)
	}
	if len(p.DamagedDigests) > 0 {
		fmt.Fprintf(std.Err, "damaged at %s and left out: %s\n", from, strings.Join(p.DamagedDigests, ", "))
		return found{errors.New("blobs are damaged")}
	}
	return nil
}

// copyStopped is the end of a copy that did not get through: err, or that somebody
// stopped it.
func copyStopped(ctx context.Context, err error, p storage.Copied) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("stopped with %d of %d blobs there so far; run it again to go on", p.Done+p.There, p.Blobs)
}

// showProgress prints a line now and then until the function that it returns is
// called: often where somebody watches, else seldom.
func showProgress(std command.Streams, line func() string) (stop func()) {
	every := 10 * time.Second
	if terminal.File(std.Err) != nil {
		every = 2 * time.Second
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintln(std.Err, line())
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func newStorageVerifyCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	var recount bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read every image again and compare it with its digest and the database",
		Long: `Read every blob of the registry again and compare it with its digest, and follow every
algorithm version of the database down to its layers, while the server runs or not.
What the storage lost, though the database says that it is there, and what is damaged
is named with the repositories, versions and launches that need it. The sums that
are kept of what owners and repositories take are compared with all that they are of;
--recount makes those that differ anew, while pushes wait.

The exit code is 0 when all is well, 3 when something is wrong, 1 when it could not
be looked.`,
		Example: "  mothership storage verify\n  mothership storage verify --storage 's3://images?region=eu-central-1' -o json",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return verifyStorage(cmd, &c, std, &output, recount)
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	c.AddStorageFlags(cmd.Flags())
	cmd.Flags().BoolVar(&recount, "recount", false, "make the sums anew if they differ")
	output.Add(cmd)
	return cmd
}

// sumsShown is how many sums are named that differ.
const sumsShown = 1000

func verifyStorage(cmd *cobra.Command, c *serve.Config, std command.Streams, output *command.Output, recount bool) error {
	return onRegistry(cmd, c, func(ctx context.Context, s *control.Service, content *registry.Storage) error {
		last := make(chan registry.Verified, 1)
		last <- registry.Verified{}
		stop := showProgress(std, func() string {
			p := <-last
			defer func() { last <- p }()
			return fmt.Sprintf("read %d blobs, %s", p.Blobs, component.Bytes(p.Bytes))
		})
		done, err := registry.Verify(ctx, s, content, func(p registry.Verified) {
			<-last
			last <- p
		})
		stop()
		if err != nil {
			return err
		}
		sums, err := s.SumFaults(ctx, control.Shell(), sumsShown)
		if err == nil && recount && len(sums) > 0 {
			err = s.RecountSums(ctx, control.Shell())
		}
		if err != nil {
			return err
		}
		return printVerified(std, output, done, sums, recount)
	})
}

// verifiedOutput is what -o json prints.
type verifiedOutput struct {
	Blobs    int64         `json:"blobs"`
	Bytes    int64         `json:"bytes"`
	Versions int64         `json:"versions"`
	Faults   []faultOutput `json:"faults"`
	Sums     []sumOutput   `json:"sums"`
	Recount  bool          `json:"recounted"`
}

// sumOutput is a sum that is kept and differs from what it is of.
type sumOutput struct {
	Of         string `json:"of"`
	Name       string `json:"name"`
	Blobs      int64  `json:"blobs"`
	Bytes      int64  `json:"bytes"`
	FoundBlobs int64  `json:"found_blobs"`
	FoundBytes int64  `json:"found_bytes"`
}

type faultOutput struct {
	Digest       string           `json:"digest"`
	Fault        string           `json:"fault"`
	Repositories []string         `json:"repositories"`
	Versions     []string         `json:"versions"`
	Launches     []launchedOutput `json:"launches"`
}

type launchedOutput struct {
	SatelliteID string `json:"satellite_id"`
	Satellite   string `json:"satellite"`
	LaunchID    string `json:"launch_id"`
	Launch      string `json:"launch"`
}

func printVerified(std command.Streams, output *command.Output, done *registry.Verified, sums []postgres.SumFault, recount bool) error {
	recounted := recount && len(sums) > 0
	value := verifiedOutput{Blobs: done.Blobs, Bytes: done.Bytes, Versions: done.Versions, Faults: []faultOutput{}, Sums: []sumOutput{}, Recount: recounted}
	rows, sumRows := [][]string{}, [][]string{}
	for _, f := range done.Faults {
		one, row := faultOf(f)
		value.Faults, rows = append(value.Faults, one), append(rows, row)
	}
	for _, f := range sums {
		value.Sums = append(value.Sums, sumOutput(f))
		sumRows = append(sumRows, []string{strings.TrimSpace(f.Of + " " + f.Name), sumText(f.Blobs, f.Bytes), sumText(f.FoundBlobs, f.FoundBytes)})
	}
	if output.JSON() {
		if err := output.Print(std, value, nil, nil); err != nil {
			return err
		}
	} else if err := printFaults(std, output, done, rows, sumRows, recounted); err != nil {
		return err
	}
	if len(rows) > 0 {
		fmt.Fprintln(std.Err, "restore the images from a backup, or push them again: under another tag, if your client sends nothing for an image whose manifest is there")
		return found{errors.New("images are lost or damaged")}
	}
	if len(sums) > 0 && !recounted {
		return found{errors.New("sums differ")}
	}
	return nil
}

func printFaults(std command.Streams, output *command.Output, done *registry.Verified, rows, sums [][]string, recounted bool) error {
	if len(rows) > 0 {
		if err := output.Print(std, nil, []string{"DIGEST", "FAULT", "REPOSITORIES", "VERSIONS", "LAUNCHES"}, rows); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(std.Out, "%s in %s of %s are as they were pushed\n", component.Bytes(done.Bytes), component.Count(int(done.Blobs), "blob"), component.Count(int(done.Versions), "version"))
	}
	if len(sums) == 0 {
		return nil
	}
	if err := output.Print(std, nil, []string{"SUM OF", "KEPT", "FOUND"}, sums); err != nil {
		return err
	}
	if recounted {
		fmt.Fprintln(std.Err, "the sums were made anew")
	} else {
		fmt.Fprintln(std.Err, "mothership storage verify --recount makes the sums anew")
	}
	return nil
}

func faultOf(f registry.BlobFault) (faultOutput, []string) {
	one := faultOutput{
		Digest: f.Digest, Fault: f.Fault, Repositories: append([]string{}, f.Repositories...), Versions: append([]string{}, f.Versions...), Launches: []launchedOutput{},
	}
	var launches []string
	for _, l := range f.Launches {
		one.Launches = append(one.Launches, launchedOutput{l.SatelliteID, l.SatelliteName, l.LaunchID, l.LaunchName})
		launches = append(launches, l.SatelliteName+"/"+l.LaunchName)
	}
	return one, []string{f.Digest, f.Fault, orDash(f.Repositories), orDash(f.Versions), orDash(launches)}
}

func sumText(blobs, bytes int64) string {
	return fmt.Sprintf("%d blobs, %d bytes", blobs, bytes)
}

func orDash(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ", ")
}
