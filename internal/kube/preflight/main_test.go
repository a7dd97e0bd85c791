package preflight_test

import (
	"os"
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
)

func TestMain(m *testing.M) { os.Exit(launchtest.RunTests(m)) }
