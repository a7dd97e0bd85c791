package installer

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

func newInstallSchemaCommand(std command.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a launch's configuration",
		Long: `Print the JSON Schema (draft 2020-12) of the files that 'configure --file' and
'up --file' take, for editors and for checks in CI. It knows every setting of this
version; what only a launch or a machine knows, such as vanity URLs and files, is
checked by configure.`,
		Example: "  algo-install schema > constellation-launch.schema.json",
		Args:    command.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			encoder := json.NewEncoder(std.Out)
			encoder.SetIndent("", "  ")
			encoder.SetEscapeHTML(false)
			return encoder.Encode(settings.Schema())
		},
	}
}
