package notify

import (
	"os"
	"testing"

	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
