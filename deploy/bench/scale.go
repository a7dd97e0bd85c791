package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

const (
	scaleSmall  = 100
	scaleLarge  = 100_000
	scaleRounds = 100

	scaleLaunches = 4 // of each satellite; three of them have reported
)

// scale measures what people look at with 100 satellites and with 100,000,
// four launches each, alternating.
func scale(ctx context.Context, binary string, out io.Writer) error {
	worlds := map[int]*scaleWorld{}
	for _, n := range []int{scaleSmall, scaleLarge} {
		dir, remove, err := tempDir()
		if err != nil {
			return err
		}
		defer remove()
		m, launches, err := seeded(ctx, binary, dir, n, scaleLaunches*n, 3*n)
		if err != nil {
			return err
		}
		defer m.Stop() //nolint:errcheck // the folder goes next
		key, err := viewer(ctx, m)
		if err != nil {
			return err
		}
		worlds[n] = &scaleWorld{fleet: fleet{host: m.Host}, key: key, launch: launches[n/2]}
	}
	for _, w := range worlds { // now: a server drops what idles for as long as seeding takes
		var err error
		if w.conn, err = dial(w.host); err != nil {
			return err
		}
		defer w.conn.Close() //nolint:errcheck // nothing is lost
	}
	fmt.Fprintf(out, "pages with %d and with %d satellites, %d launches each, %d looks each; milliseconds:\n", scaleSmall, scaleLarge, scaleLaunches, scaleRounds)
	fmt.Fprintf(out, "  %-58s %8s %8s %8s %8s %6s\n", "", "p50", "p50", "p99", "p99", "ratio")
	slow := 0
	for _, page := range worlds[scaleSmall].pages() {
		took := map[int][]time.Duration{}
		for range scaleRounds {
			for n, w := range worlds {
				d, err := w.look(page)
				if err != nil {
					return err
				}
				took[n] = append(took[n], d)
			}
		}
		small, large := quantile(took[scaleSmall], .5), quantile(took[scaleLarge], .5)
		p99 := quantile(took[scaleLarge], .99)
		mark := ""
		if large > 3*small || p99 > 100 {
			mark = "  <- beyond 3x or 100 ms"
			slow++
		}
		fmt.Fprintf(out, "  %-58s %8.1f %8.1f %8.1f %8.1f %6.2f%s\n", page, small, large, quantile(took[scaleSmall], .99), p99, large/small, mark)
	}
	fmt.Fprintf(out, "  beyond the limits (3x the median, p99 100 ms): %d\n", slow)
	return nil
}

type scaleWorld struct {
	fleet
	conn   *conn
	key    string
	launch *launch
	second map[string]string // the marker of the second page, by the first's path
}

// pages are what is looked at: {satellite} and {launch} stand for one in the
// middle, and next: for the second page.
func (w *scaleWorld) pages() []string {
	pages := []string{"/v1/satellites?limit=25"}
	for _, sort := range []string{"name", "created_at", "expires_at", "latest_version", "launches", "up", "degraded", "stale"} {
		pages = append(pages, "/v1/satellites?limit=25&sort=-"+sort)
	}
	for _, q := range []string{"e", "edge", "warehouse", "berlin 0", "000050", "nothing"} {
		pages = append(pages, "/v1/satellites?limit=25&q="+url.QueryEscape(q), "/v1/satellites?limit=25&sort=-created_at&q="+url.QueryEscape(q))
	}
	pages = append(pages, launchPages()...)
	return append(pages,
		"next:/v1/satellites?limit=25", "next:/v1/satellites?limit=25&sort=-launches", "next:/v1/satellites?limit=25&q=edge",
		"/v1/satellites/{satellite}", "/v1/satellites/{satellite}/versions", "/v1/satellites/{satellite}/keys",
		"/v1/satellites/{satellite}/launches", "/v1/satellites/{satellite}/launches?q=ber&sort=-last_seen_at", "/v1/satellites/{satellite}/launches/{launch}",
		"/v1/satellites/{satellite}/launches/{launch}/history",
		"/v1/events?limit=25", "/v1/events?limit=25&q=edge", "/v1/events?limit=25&q=000050", "/v1/events?limit=25&action=launch.create", "/v1/events?limit=25&target_kind=satellite&target_id={satellite}",
	)
}

// launchPages are the lists of the launches of all satellites, by each filter and in each
// order, and satellites by the same filters.
func launchPages() (pages []string) {
	const list = "/v1/launches?limit=25"
	for _, sort := range []string{"name", "created_at", "last_seen_at", "behind_since", "status"} {
		pages = append(pages, list+"&sort="+sort, list+"&sort=-"+sort)
	}
	for _, filter := range []string{
		"status=degraded", "status=stale,up", "behind=true", "behind=false", "behind_for=90w", "expires_before=30d", "expires_before=100w", "created_by=seed", "created_by=nobody",
		"algorithm=team00%2Falgorithm0000", "owner=team00", "satellite={satellite}", "selector=tier%3Dprod", "selector=region%3Deu%2Ctier%21%3Dprod", "selector=site%3Dsite-0", "q=berlin", "q=zz",
	} {
		pages = append(pages, list+"&sort=status&"+filter, list+"&sort=-created_at&"+filter)
	}
	for _, filter := range []string{"behind=true", "expires_before=30d", "created_by=seed"} {
		pages = append(pages, "/v1/satellites?limit=25&"+filter)
	}
	return append(pages, list+"&expand=calls", "next:"+list+"&sort=status", "next:"+list+"&selector=tier%3Dprod")
}

// look asks for a page once.
func (w *scaleWorld) look(page string) (time.Duration, error) {
	path, next := strings.CutPrefix(page, "next:")
	path = strings.NewReplacer("{satellite}", w.launch.satellite, "{launch}", w.launch.id).Replace(path)
	if next {
		if w.second == nil {
			w.second = map[string]string{}
		}
		if w.second[path] == "" {
			var first apiv1.List[apiv1.Satellite]
			if err := w.get(path, w.key, &first); err != nil {
				return 0, err
			}
			if first.Marker == nil { // the small one's ends on its first page
				first.Marker = new(string)
			}
			w.second[path] = path + "&marker=" + url.QueryEscape(*first.Marker)
		}
		path = w.second[path]
	}
	begun := time.Now()
	status, answer, err := w.conn.send(http.MethodGet, path, w.key, nil)
	took := time.Since(begun)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s answered %d: %s", path, status, answer)
	}
	return took, err
}
