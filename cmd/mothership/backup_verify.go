package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/web/component"
)

func newBackupVerifyCommand(std command.Streams) *cobra.Command {
	var output command.Output
	var point string
	cmd := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Prove backups without restoring them",
		Long: `Read every file of the backups in TARGET again and prove that they restore: each
is what was written, all that the tables refer to is there, and this program knows
the schema. It needs neither the database nor the secret key.

The exit code is 0 when all is well, 3 when something is wrong, 1 when it could not
be looked.`,
		Example: "  mothership backup verify /mnt/backups/constellation",
		Args:    command.OneArgument("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			progress, stop := backupProgress(std)
			done, err := backup.Verify(cmd.Context(), target, point, progress)
			stop()
			if err != nil {
				return err
			}
			return printBackupVerified(std, &output, done)
		},
	}
	cmd.Flags().StringVar(&point, "point", "", "verify this backup alone, by the name that mothership backup list has")
	output.Add(cmd)
	return cmd
}

type backupVerifiedOutput struct {
	Points     []string            `json:"points"`
	Unfinished []string            `json:"unfinished"`
	Blobs      int64               `json:"blobs"`
	Bytes      int64               `json:"bytes"`
	Faults     []backupFaultOutput `json:"faults"`
}

type backupFaultOutput struct {
	File    string   `json:"file"`
	Problem string   `json:"problem"`
	Points  []string `json:"points"`
}

func printBackupVerified(std command.Streams, output *command.Output, done *backup.Verified) error {
	value := backupVerifiedOutput{Points: append([]string{}, done.Points...), Unfinished: append([]string{}, done.Unfinished...), Blobs: done.Blobs, Bytes: done.Bytes, Faults: []backupFaultOutput{}}
	rows := [][]string{}
	for _, f := range done.Faults {
		value.Faults = append(value.Faults, backupFaultOutput{f.File, f.Problem, append([]string{}, f.Points...)})
		rows = append(rows, []string{f.File, f.Problem, orDash(f.Points)})
	}
	switch {
	case output.JSON(), len(rows) > 0:
		if err := output.Print(std, value, []string{"FILE", "FAULT", "BACKUPS"}, rows); err != nil {
			return err
		}
	default:
		fmt.Fprintf(std.Out, "%s with %s in %s are as they were written\n", component.Count(int64(len(done.Points)), "backup"), component.Bytes(done.Bytes), component.Count(done.Blobs, "blob"))
	}
	if len(rows) > 0 {
		return found{errors.New("backups are damaged")}
	}
	return nil
}

func newBackupListCommand(std command.Streams) *cobra.Command {
	var output command.Output
	cmd := &cobra.Command{
		Use:     "list TARGET",
		Short:   "List the backups in a target",
		Example: "  mothership backup list /mnt/backups/constellation",
		Args:    command.OneArgument("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			list, err := backup.List(cmd.Context(), target)
			if err != nil {
				return err
			}
			return printBackups(std, &output, list)
		},
	}
	output.Add(cmd)
	return cmd
}

type pointOutput struct {
	Point      string    `json:"point"`
	Mothership string    `json:"mothership"`
	Program    string    `json:"program"`
	Schema     int64     `json:"schema"`
	TakenAt    time.Time `json:"taken_at"`
	Rows       int64     `json:"rows"`
	Blobs      int64     `json:"blobs"`
	Bytes      int64     `json:"bytes"`
	Lacks      int       `json:"lacks"`
	SecretKey  bool      `json:"secret_key"`
	Problem    string    `json:"problem,omitempty"`
}

func printBackups(std command.Streams, output *command.Output, list []backup.Point) error {
	values, rows := []pointOutput{}, [][]string{}
	for _, p := range list {
		values = append(values, pointOutput{p.Name, p.Mothership, p.Program, p.Schema, p.TakenAt, p.Rows, p.Blobs, p.Bytes, p.Lacks, p.SecretKey, p.Problem})
		key, state := "no", "whole"
		if p.SecretKey {
			key = "yes"
		}
		if p.Lacks > 0 {
			state = "lacks " + component.Count(int64(p.Lacks), "blob")
		}
		if p.Problem != "" {
			state = p.Problem
		}
		rows = append(rows, []string{p.Name, p.Program, strconv.FormatInt(p.Rows, 10), strconv.FormatInt(p.Blobs, 10), component.Bytes(p.Bytes), key, state})
	}
	if !output.JSON() && len(rows) == 0 {
		_, err := io.WriteString(std.Out, "there is no backup yet that was ended\n")
		return err
	}
	return output.Print(std, values, []string{"BACKUP", "VERSION", "ROWS", "BLOBS", "SIZE", "SECRET KEY", "STATE"}, rows)
}
