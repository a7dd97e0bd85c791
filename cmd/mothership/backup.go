package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/web/component"
)

func newBackupCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var keep int
	var withKey bool
	var output command.Output
	cmd := &cobra.Command{
		Use:   "backup TARGET",
		Short: "Back up the database and the images at one point, while the server runs",
		Long: `Back up the database and the images at one point, while the server runs or not, to
TARGET: ` + backup.Forms + `.

A folder or a bucket has many backups, and each image once: the next backup writes
what is new. A tar has one. A backup may be stopped at any moment and run again.

The secret key is not in it unless --include-secret-key is given. Without the key a
backup does not restore: keep the key file elsewhere, and as well.`,
		Example: "  mothership backup /mnt/backups/constellation --keep 14\n  mothership backup 's3://backups/constellation?region=eu-central-1'\n" +
			"  mothership backup verify /mnt/backups/constellation\n  mothership backup - | ssh elsewhere 'cat > constellation.tar'",
		Args: command.OneArgument("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			if keep < 0 || keep > 0 && target.Single() {
				return command.UsageError{Err: errors.New("--keep is how many backups stay in a folder or a bucket, 1 or more")}
			}
			if err := c.Load(cmd); err != nil {
				return err
			}
			return takeBackup(cmd, &c, std, target, keep, withKey, &output)
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	c.AddStorageFlags(cmd.Flags())
	cmd.Flags().IntVar(&keep, "keep", 0, "keep this many backups in TARGET, the newest, and remove the others; 0 keeps all")
	cmd.Flags().BoolVar(&withKey, "include-secret-key", false, "put the secret key into the backup: who reads it then opens every secret in it")
	output.Add(cmd)
	cmd.AddCommand(newBackupVerifyCommand(std), newBackupListCommand(std))
	return cmd
}

func parseTarget(text string) (backup.Target, error) {
	target, err := backup.ParseTarget(text)
	if err != nil {
		return target, command.UsageError{Err: fmt.Errorf("TARGET: %w", err)}
	}
	return target, nil
}

func takeBackup(cmd *cobra.Command, c *serve.Config, std command.Streams, target backup.Target, keep int, withKey bool, output *command.Output) error {
	ctx := cmd.Context()
	content, err := serve.OpenStorage(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return withMigrated(cmd, c, func(db *postgres.DB) error {
		o, err := serve.BackupOptions(ctx, c, db, target, withKey)
		if err != nil {
			return err
		}
		o.Program, o.By, o.Keep, o.Out = version, constellation.ActorShell, keep, std.Data()
		o.Count = control.New(control.Options{DB: db, Store: content, Content: content}).CountStorageOnce
		var stop func()
		o.Progress, stop = backupProgress(std)
		taken, err := backup.Take(ctx, o)
		stop()
		if err != nil {
			return err
		}
		return printTaken(std, output, target, taken)
	})
}

// backupProgress returns what takes progress, and shows it until stop.
func backupProgress(std command.Streams) (progress func(backup.Progress), stop func()) {
	last := make(chan backup.Progress, 1)
	last <- backup.Progress{}
	return func(p backup.Progress) {
			<-last
			last <- p
		}, showProgress(std, func() string {
			p := <-last
			last <- p
			return progressLine(p, time.Now())
		})
}

// progressLine says how far something is, how fast, and what is left.
func progressLine(p backup.Progress, now time.Time) string {
	if p.Doing == "" {
		return "starting"
	}
	line := p.Doing
	took := now.Sub(p.Since)
	switch {
	case p.Total > 0:
		line += fmt.Sprintf(": %s of %s", component.Bytes(p.Done), component.Bytes(p.Total))
	case p.OfThem > 0:
		line += fmt.Sprintf(": %d of %d", p.Files, p.OfThem)
	case p.Done > 0:
		line += ": " + component.Bytes(p.Done)
	}
	if took < time.Second || p.Done == 0 {
		return line
	}
	rate := float64(p.Done) / took.Seconds()
	line += fmt.Sprintf(", %s/s", component.Bytes(int64(rate)))
	if left := p.Total - p.Done; left > 0 && rate >= 1 {
		line += fmt.Sprintf(", %s left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
	}
	return line
}

// takenOutput is what -o json prints.
type takenOutput struct {
	Target      string   `json:"target"`
	Point       string   `json:"point"`
	Tables      int      `json:"tables"`
	Rows        int64    `json:"rows"`
	Blobs       int64    `json:"blobs"`
	Bytes       int64    `json:"bytes"`
	NewBlobs    int64    `json:"new_blobs"`
	NewBytes    int64    `json:"new_bytes"`
	Missing     []string `json:"missing"`
	Damaged     []string `json:"damaged"`
	Removed     []string `json:"removed"`
	SHA256      string   `json:"manifest_sha256"`
	SecretKey   bool     `json:"secret_key"`
	TookSeconds float64  `json:"took_seconds"`
}

func printTaken(std command.Streams, output *command.Output, target backup.Target, t *backup.Taken) error {
	if target.Stream() {
		std.Out = std.Err
	}
	value := takenOutput{
		Target: target.String(), Point: t.Point, Tables: t.Tables, Rows: t.Rows, Blobs: t.Blobs, Bytes: t.Bytes, NewBlobs: t.WrittenBlobs, NewBytes: t.Written,
		Missing: append([]string{}, t.Missing...), Damaged: append([]string{}, t.Damaged...), Removed: append([]string{}, t.Removed...),
		SHA256: t.ManifestSHA256, SecretKey: t.SecretKeyIncluded, TookSeconds: t.Took.Seconds(),
	}
	if output.JSON() {
		if err := output.Print(std, value, nil, nil); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(std.Out, "%s at %s: %d tables with %d rows, %s with %s, of which %s were new, in %s\n", t.Point, target, t.Tables, t.Rows,
			component.Count(t.Blobs, "blob"), component.Bytes(t.Bytes), component.Bytes(t.Written), t.Took.Round(10*time.Millisecond))
		if len(t.Removed) > 0 {
			fmt.Fprintf(std.Out, "removed %s: %s\n", component.Count(int64(len(t.Removed)), "older backup"), strings.Join(t.Removed, ", "))
		}
	}
	if !t.SecretKeyIncluded {
		fmt.Fprintln(std.Err, "the secret key is not in it: keep the key file elsewhere as well, without which no backup restores")
	}
	if t.Unswept != "" {
		fmt.Fprintln(std.Err, "images that no backup needs were left there: "+t.Unswept)
	}
	if len(t.Missing)+len(t.Damaged) == 0 {
		return nil
	}
	for what, digests := range map[string][]string{"missing": t.Missing, "damaged": t.Damaged} {
		if len(digests) > 0 {
			fmt.Fprintf(std.Err, "%s in the storage, so not in the backup: %s; mothership storage verify names what needs it\n", what, strings.Join(digests, ", "))
		}
	}
	return found{errors.New("blobs are missing or damaged")}
}
