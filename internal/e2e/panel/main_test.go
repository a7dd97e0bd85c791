// Package panel opens the admin panel of a real mothership in a real
// Chromium: every page in both themes and two widths, every flow by mouse,
// by keyboard, and without a script.
package panel

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// house is what all tests share: one mothership with something in it, and one
// browser.
var house struct {
	world   *world
	browser *browser
	dir     string
	missing string // what the tests need and this machine has not
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	bin := os.Getenv("CONSTELLATION_BIN")
	chromium := findChromium()
	if bin == "" || chromium == "" {
		house.missing = "needs CONSTELLATION_BIN (the folder with the built programs) and Chromium: run make browser"
		return m.Run()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "constellation-panel-")
	if err != nil {
		return complain("make a folder", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			code = complain("remove the tests' folder", err)
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must reach its data
		return complain("open the folder", err)
	}
	house.dir = dir
	if house.world, err = newWorld(ctx, bin, dir); err != nil {
		return complain("start the mothership", err)
	}
	defer func() {
		if err := house.world.mothership.Stop(); err != nil {
			code = complain("stop the mothership", err)
		}
	}()
	living, die := context.WithCancel(context.WithoutCancel(ctx))
	defer die()
	go house.world.live(living)
	if house.browser, err = startBrowser(ctx, chromium, dir); err != nil {
		return complain("start Chromium", err)
	}
	defer house.browser.stop()
	return m.Run()
}

func complain(what string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	return 1
}

// need returns the shared world, or skips where it cannot be.
func need(t *testing.T) *world {
	t.Helper()
	if house.missing != "" {
		t.Skip(house.missing)
	}
	return house.world
}
