package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
)

func newAPIKeyCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "api-key",
		Short: "Make and revoke API keys from a shell, whether the server runs or not",
	}, newAPIKeyCreateCommand(std), newAPIKeyListCommand(std), newAPIKeyRevokeCommand(std))
}

func newAPIKeyCreateCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var account, role, satellite, expires string
	var scopes []string
	var n control.NewKey
	cmd := &cobra.Command{
		Use:     "create --account NAME",
		Short:   "Make an API key and print it, alone, on stdout; it is not shown again",
		Example: "  KEY=$(mothership api-key create --account neo --role admin)",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if account == "" {
				return command.UsageError{Err: errors.New("--account is missing: whose key is it?")}
			}
			if err := notEmpty(cmd, "role", "satellite", "expires"); err != nil {
				return err
			}
			if cmd.Flags().Changed("role") {
				n.Role = new(constellation.Role(role))
			}
			if cmd.Flags().Changed("satellite") {
				n.SatelliteID = &satellite
			}
			if slices.Contains(scopes, "") {
				return errEmpty("scope")
			}
			if cmd.Flags().Changed("scope") {
				n.Scope = new(strings.Join(scopes, " "))
			}
			if cmd.Flags().Changed("expires") {
				at, err := expiry(time.Now(), expires)
				if err != nil {
					return err
				}
				n.ExpiresAt = &at
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				secret, key, err := s.CreateKey(ctx, control.Shell(), account, n)
				if err != nil {
					return err
				}
				fmt.Fprintf(std.Err, "made the %s key %q of %s (id %s), which %sexpires on %s\n", key.Role, key.Name, key.Username, key.ID, may(key.Scope), key.ExpiresAt.UTC().Format(time.DateOnly))
				_, err = fmt.Fprintln(std.Out, secret)
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().StringVar(&account, "account", "", "the account the key belongs to")
	cmd.Flags().StringVar(&role, "role", "", "what the key may do: admin, operator or viewer; default is the account's role, and no key has more")
	cmd.Flags().StringVar(&n.Name, "name", "shell", "what the key is for, to recognise it by")
	cmd.Flags().StringVar(&expires, "expires", "", "when the key ends: 90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z; default in a year")
	cmd.Flags().StringVar(&satellite, "satellite", "", "limit the key to the satellite with this id")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "limit the key to pushing and pulling: push:OWNER/* or push:OWNER/NAME; can be repeated")
	return cmd
}

// may says what a key with a scope may do.
func may(scope constellation.KeyScope) string {
	if scope == "" {
		return ""
	}
	return "may push to and pull from " + scope.Repositories() + ", nothing else, and "
}

// notEmpty refuses a flag that is given without a value: a script's variable
// that is not set would lift the limit that the flag is for.
func notEmpty(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) && cmd.Flag(name).Value.String() == "" {
			return errEmpty(name)
		}
	}
	return nil
}

func errEmpty(flag string) error {
	return command.UsageError{Err: fmt.Errorf("--%s is empty; give it a value, or leave it out", flag)}
}

// expiry reads a moment: days or a Go duration from now, a date or a time.
func expiry(now time.Time, s string) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, command.UsageError{Err: fmt.Errorf("--expires is a time from now such as 90d or 12h, a date such as 2027-01-31, or a time in RFC 3339; not %q", s)}
}

func newAPIKeyListCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	var account string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys of one account, or of all",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := notEmpty(cmd, "account"); err != nil {
				return err
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				keys, err := listKeys(ctx, s, account)
				if err != nil {
					return err
				}
				return printKeys(std, output, keys)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	cmd.Flags().StringVar(&account, "account", "", "the keys of this account only")
	return cmd
}

// listKeys returns the keys of one account, or of all when it is "".
func listKeys(ctx context.Context, s *control.Service, account string) ([]constellation.APIKey, error) {
	names := []string{account}
	if account == "" {
		accounts, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.Account], error) {
			return s.ListAccounts(ctx, control.Shell(), "", q)
		})
		if err != nil {
			return nil, err
		}
		names = names[:0]
		for _, a := range accounts {
			names = append(names, a.Username)
		}
	}
	var all []constellation.APIKey
	for _, name := range names {
		keys, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.APIKey], error) {
			return s.ListKeys(ctx, control.Shell(), name, q)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

func printKeys(std command.Streams, output command.Output, keys []constellation.APIKey) error {
	values := []map[string]any{}
	var rows [][]string
	for _, k := range keys {
		state := "active"
		switch {
		case k.RevokedAt != nil:
			state = "revoked"
		case !time.Now().Before(k.ExpiresAt):
			state = "expired"
		}
		satellite := k.SatelliteID
		if satellite == "" {
			satellite = "all"
		}
		scope := string(k.Scope)
		if scope == "" {
			scope = "all"
		}
		rows = append(rows, []string{k.ID, k.Username, k.Name, k.Prefix + "…", string(k.Role), satellite, scope, state, command.Day(&k.ExpiresAt), command.Day(k.LastUsedAt)})
		values = append(values, map[string]any{
			"id": k.ID, "username": k.Username, "name": k.Name, "prefix": k.Prefix, "role": k.Role, "satellite_id": k.SatelliteID, "scope": k.Scope,
			"state": state, "created_at": k.CreatedAt, "expires_at": k.ExpiresAt, "last_used_at": k.LastUsedAt, "revoked_at": k.RevokedAt,
		})
	}
	return output.Print(std, values, []string{"ID", "ACCOUNT", "NAME", "KEY", "ROLE", "SATELLITE", "SCOPE", "STATE", "EXPIRES", "LAST USED"}, rows)
}

func newAPIKeyRevokeCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var account string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Refuse an API key from now on; 'api-key list' has the ids",
		Args:  command.OneArgument("the key's ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := notEmpty(cmd, "account"); err != nil {
				return err
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				keys, err := listKeys(ctx, s, account)
				if err != nil {
					return err
				}
				for _, k := range keys {
					if k.ID != args[0] {
						continue
					}
					if err := s.RevokeKey(ctx, control.Shell(), k.Username, k.ID); err != nil {
						return err
					}
					_, err = fmt.Fprintf(std.Err, "revoked the key %q of %s\n", k.Name, k.Username)
					return err
				}
				return constellation.Errorf(constellation.KindNotFound, "there is no API key with the id %q; 'mothership api-key list' has the ids", args[0])
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().StringVar(&account, "account", "", "look among the keys of this account only")
	return cmd
}
