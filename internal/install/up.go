package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/ask"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/needs"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// UpOptions are what up needs besides the launch's folder.
type UpOptions struct {
	Get     GetOptions // without a key, what is downloaded is used
	Changes launchfile.Changes
	Deploy  DeployOptions
	// Ask asks for what is missing; nil when there is nobody to ask.
	Ask      func(context.Context, ask.Question) (string, error)
	Progress *progress.Reporter
}

// UpResult is what each step did; nil is a step that was not needed.
type UpResult struct {
	Download   *GetResult    `json:"download,omitempty"`
	Configured *Configured   `json:"configured,omitempty"`
	Deploy     *DeployResult `json:"deploy"`
}

// Up downloads, configures, checks and deploys a launch. All that is missing is
// asked for, or named at once, before anything is done. Each step picks up where
// it stopped.
func Up(ctx context.Context, f store.Folder, o UpOptions) (*UpResult, error) {
	o.Get.Progress, o.Deploy.Progress = o.Progress, o.Progress
	given := needs.Given{Mothership: &o.Get.Mothership, Key: &o.Get.Key, Changes: &o.Changes}
	if err := needs.Complete(ctx, f, given, o.Ask); err != nil {
		return nil, err
	}
	result := &UpResult{}
	var err error
	if o.Get.Key == "" {
		o.Progress.Line("no API key is given: what is downloaded is deployed")
	} else if result.Download, err = Get(ctx, f, o.Get); err != nil {
		return nil, err
	}
	if len(o.Changes.Assignments) > 0 || o.Changes.Files != nil {
		if result.Configured, err = Change(ctx, f, o.Changes, true, o.Progress); err != nil {
			return nil, err
		}
	}
	result.Deploy, err = Deploy(ctx, f, o.Deploy)
	return result, err
}
