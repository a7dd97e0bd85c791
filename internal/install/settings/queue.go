package settings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// queueDefault is stage.queue when it is not set.
const queueDefault = "on"

// Queue is where calls that outlive their caller are kept.
type Queue struct {
	State         string `yaml:"state"` // on or off
	Storage       string `yaml:"storage"`
	StorageClass  string `yaml:"storage_class"`
	Size          string `yaml:"size"`
	Keep          string `yaml:"keep"`
	Share         string `yaml:"share"`
	RetryTimeouts string `yaml:"retry_timeouts"` // on or off
}

// Callbacks is where results may be sent.
type Callbacks struct {
	Allow string `yaml:"allow"`
}

// Render returns the queue as it is rendered. The storage of auto is "": what it
// is depends on the cluster.
func (q Queue) Render() (render.Queue, error) {
	queue := render.Queue{On: q.State == "on", StorageClass: q.StorageClass, Size: q.Size, RetryTimeouts: q.RetryTimeouts == "on"}
	if q.Storage != "auto" {
		queue.Storage = q.Storage
	}
	var err error
	if q.Keep != "" {
		if queue.Keep, err = parseKeep(q.Keep); err != nil {
			return queue, fmt.Errorf("stage.queue.keep %w", err)
		}
	}
	if q.Share != "" {
		if queue.Share, err = parseShare(q.Share); err != nil {
			return queue, fmt.Errorf("stage.queue.share %w", err)
		}
	}
	return queue, nil
}

// Targets returns the entries of the list. The error is one sentence without
// its subject.
func (c Callbacks) Targets() ([]string, error) {
	if c.Allow == "" || c.Allow == "none" {
		return nil, nil
	}
	var targets []string
	for entry := range strings.SplitSeq(c.Allow, ",") {
		target, err := config.CallbackTarget(entry)
		if err != nil {
			return nil, err
		}
		if target == "none" {
			return nil, errors.New("is none alone, or a list of others")
		}
		targets = append(targets, target)
	}
	if len(targets) > config.MaxCallbackAllow {
		return nil, fmt.Errorf("has at most %d entries; these are %d", config.MaxCallbackAllow, len(targets))
	}
	return targets, nil
}

func checkCallbacks(value string) (string, error) {
	targets, err := Callbacks{value}.Targets()
	if err != nil || len(targets) == 0 {
		return "none", err
	}
	return strings.Join(targets, ","), nil
}

func checkStorageClass(value string) (string, error) {
	if problems := validation.IsDNS1123Subdomain(value); len(problems) > 0 {
		return "", fmt.Errorf("is the name of a storage class ('kubectl get storageclass' lists them): lower-case letters, digits, '-' and '.'; not %q", value)
	}
	return value, nil
}

func checkQueueSize(value string) (string, error) {
	least, most := resource.NewQuantity(config.MinQueueSize, resource.BinarySI), resource.NewQuantity(config.MaxQueueSize, resource.BinarySI)
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Cmp(*least) < 0 || q.Cmp(*most) > 0 {
		return "", fmt.Errorf("is a size from %s to %s, such as %s; not %q", least, most, render.DefaultQueueSize, value)
	}
	return value, nil
}

func checkKeep(value string) (string, error) {
	_, err := parseKeep(value)
	return value, err
}

// parseKeep reads a time as Go has it, and days beside.
func parseKeep(value string) (time.Duration, error) {
	keep, err := time.ParseDuration(value)
	if days, ok := strings.CutSuffix(value, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		keep = time.Duration(min(n, 1000)) * 24 * time.Hour
	}
	if err != nil || keep < config.MinQueueKeep || keep > config.MaxQueueKeep {
		return 0, fmt.Errorf("is a time from 1m to %dd, such as 90m, 24h or 7d; not %q", int(config.MaxQueueKeep/(24*time.Hour)), value)
	}
	return keep.Truncate(time.Second), nil
}

func checkShare(value string) (string, error) {
	share, err := parseShare(value)
	if err != nil {
		return "", err
	}
	return strconv.Itoa(share) + "%", nil
}

func parseShare(value string) (int, error) {
	share, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "%")))
	if err != nil || share < config.MinQueueShare || share > config.MaxQueueShare {
		return 0, fmt.Errorf("is a share from %d%% to %d%%, such as 20%%; not %q", config.MinQueueShare, config.MaxQueueShare, value)
	}
	return share, nil
}
