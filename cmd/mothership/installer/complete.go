package installer

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/placement"
)

// completeLaunch completes what runLaunch reads: SATELLITE_ID LAUNCH_ID VERB,
// and what the verb takes.
func completeLaunch(std command.Streams) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		launch := newLaunchCommand(std, "", "")
		words, rest := splitIDs(launch, args)
		list, err := install.List(completionRoot(rest))
		if err != nil {
			list = nil
		}
		var found []cobra.Completion
		switch len(words) {
		case 0:
			for _, l := range list {
				found = append(found, cobra.CompletionWithDesc(l.SatelliteID, l.Satellite))
			}
		case 1:
			for _, l := range list {
				if l.SatelliteID == strings.ToLower(words[0]) {
					found = append(found, cobra.CompletionWithDesc(l.LaunchID, l.Launch))
				}
			}
		case 2:
			for _, c := range launch.Commands() {
				found = append(found, cobra.CompletionWithDesc(c.Name(), c.Short))
			}
		default:
			return completeVerb(launch, words, rest, toComplete)
		}
		return matching(found, toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeVerb completes the flags of a verb, and what stands behind it.
func completeVerb(launch *cobra.Command, words, rest []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	i := slices.IndexFunc(launch.Commands(), func(c *cobra.Command) bool { return c.Name() == words[2] })
	if i < 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	verb := launch.Commands()[i]
	f := store.Folder{Root: completionRoot(rest), SatelliteID: strings.ToLower(words[0]), LaunchID: strings.ToLower(words[1])}
	var found []cobra.Completion
	switch {
	case strings.HasPrefix(toComplete, "-"):
		for _, flags := range []*pflag.FlagSet{verb.Flags(), launch.PersistentFlags()} {
			flags.VisitAll(func(flag *pflag.Flag) {
				found = append(found, cobra.CompletionWithDesc("--"+flag.Name, flag.Usage))
			})
		}
	case verb.Name() == "configure" && strings.Contains(toComplete, "="):
		return nil, cobra.ShellCompDirectiveDefault // a file, perhaps
	case verb.Name() == "configure":
		return matching(completeKeys(f), strings.TrimPrefix(toComplete, ".")), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	case verb.Name() == "logs":
		found = append(install.VanityURLs(f), "engine")
	case verb.Name() == "export":
		return nil, cobra.ShellCompDirectiveDefault
	}
	return matching(found, toComplete), cobra.ShellCompDirectiveNoFileComp
}

func completeKeys(f store.Folder) []cobra.Completion {
	var found []cobra.Completion
	for _, s := range settings.All() {
		before, after, open := strings.Cut(s.Key, "<vanity>")
		switch {
		case open:
			whose := install.VanityURLs(f)
			if before == placement.Root+"." {
				whose = append(whose, placement.Engine, placement.Queue)
			}
			for _, who := range whose {
				found = append(found, cobra.CompletionWithDesc(before+who+strings.TrimSuffix(after+"=", "<name>="), s.About))
			}
		case strings.HasSuffix(s.Key, "<name>"):
			found = append(found, cobra.CompletionWithDesc(strings.TrimSuffix(s.Key, "<name>"), s.About))
		default:
			found = append(found, cobra.CompletionWithDesc(s.Key+"=", s.About))
		}
	}
	return found
}

// completionRoot is the deployment folder of a line that is being typed.
func completionRoot(rest []string) string {
	common := &launchFlags{}
	for i, arg := range rest {
		if value, ok := strings.CutPrefix(arg, "--deployment-dir="); ok {
			common.root = value
		} else if arg == "--deployment-dir" && i+1 < len(rest) {
			common.root = rest[i+1]
		}
	}
	return common.folder()
}

func matching(found []cobra.Completion, toComplete string) []cobra.Completion {
	return slices.DeleteFunc(found, func(c cobra.Completion) bool { return !strings.HasPrefix(c, toComplete) })
}
