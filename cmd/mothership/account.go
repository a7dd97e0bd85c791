package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
)

func newAccountCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "account",
		Short: "Make and change accounts from a shell, whether the server runs or not",
	}, newAccountCreateCommand(std), newAccountListCommand(std), newAccountSetPasswordCommand(std), newAccountDisableCommand(std))
}

// onControl reads the settings and runs do with the use cases.
func onControl(cmd *cobra.Command, c *serve.Config, do func(context.Context, *control.Service) error) error {
	if err := c.Load(cmd); err != nil {
		return err
	}
	return withControl(cmd, c, func(s *control.Service) error { return do(cmd.Context(), s) })
}

func newAccountCreateCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var role string
	var passwordStdin, service bool
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make an account; without a password it can use API keys but not sign in",
		Example: "  echo 'correct horse battery staple' | mothership account create neo --role admin --password-stdin",
		Args:    command.OneArgument("the account's NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := control.NewAccount{Username: args[0], Role: constellation.Role(role)}
			if service {
				n.Kind = constellation.KindService
			}
			if passwordStdin {
				var err error
				if n.Password, err = readPassword(std.In); err != nil {
					return err
				}
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				account, err := s.CreateAccount(ctx, control.Shell(), n)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(std.Err, "made the account %s with the role %s\n", account.Username, account.Role)
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().StringVar(&role, "role", string(constellation.RoleViewer), "what the account may do: admin, operator or viewer")
	cmd.Flags().BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input, one line")
	cmd.Flags().BoolVar(&service, "service", false, "make a service account: it never signs in, and has API keys alone")
	return cmd
}

// readPassword reads one line, so that echo and files both work.
func readPassword(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return "", command.UsageError{Err: errors.New("there is no password on standard input; pipe one in")}
	}
	return password, nil
}

func newAccountListCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				accounts, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.Account], error) {
					return s.ListAccounts(ctx, control.Shell(), "", q)
				})
				if err != nil {
					return err
				}
				return printAccounts(std, output, accounts)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

func printAccounts(std command.Streams, output command.Output, accounts []constellation.Account) error {
	values := []map[string]any{}
	var rows [][]string
	for _, a := range accounts {
		state := "active"
		if a.Disabled {
			state = "disabled"
		}
		password := "no"
		if a.HasPassword {
			password = "yes"
		}
		kind := string(a.Kind)
		if a.Provider != "" {
			kind += " by " + a.Provider
		}
		rows = append(rows, []string{a.Username, string(a.Role), state, password, command.Day(&a.CreatedAt), kind})
		values = append(values, map[string]any{
			"username": a.Username, "role": a.Role, "disabled": a.Disabled, "has_password": a.HasPassword, "created_at": a.CreatedAt,
			"kind": a.Kind, "provider": a.Provider,
		})
	}
	return output.Print(std, values, []string{"NAME", "ROLE", "STATE", "PASSWORD", "CREATED", "KIND"}, rows)
}

func newAccountSetPasswordCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var passwordStdin bool
	cmd := &cobra.Command{
		Use:   "set-password NAME --password-stdin",
		Short: "Give an account a new password, read from standard input",
		Args:  command.OneArgument("the account's NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !passwordStdin {
				return command.UsageError{Err: errors.New("give --password-stdin and pipe the password in, so that it shows nowhere")}
			}
			password, err := readPassword(std.In)
			if err != nil {
				return err
			}
			return changeAccount(cmd, &c, std, args[0], control.AccountChange{Password: &password}, "changed the password of")
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input, one line")
	return cmd
}

func newAccountDisableCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var enable bool
	cmd := &cobra.Command{
		Use:   "disable NAME",
		Short: "Refuse an account's password, sessions and keys from now on",
		Args:  command.OneArgument("the account's NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			disabled, done := true, "disabled"
			if enable {
				disabled, done = false, "enabled"
			}
			return changeAccount(cmd, &c, std, args[0], control.AccountChange{Disabled: &disabled}, done)
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().BoolVar(&enable, "undo", false, "let the account in again")
	return cmd
}

func changeAccount(cmd *cobra.Command, c *serve.Config, std command.Streams, name string, change control.AccountChange, done string) error {
	return onControl(cmd, c, func(ctx context.Context, s *control.Service) error {
		account, err := s.UpdateAccount(ctx, control.Shell(), name, change)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Err, "%s the account %s\n", done, account.Username)
		return err
	})
}
