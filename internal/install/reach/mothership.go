package reach

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

// reachFor is how long a mothership has to answer.
const reachFor = 5 * time.Second

// Mothership returns in words why the engines may not get their heartbeats to what
// stage.fqdn names, "" when a mothership answers there. They go from the
// cluster, by the proxy and the certificates of the configuration; this asks
// from here in the same way.
func Mothership(ctx context.Context, stage settings.Stage, planURL string) string {
	address := stage.HeartbeatURL(planURL)
	if stage.FQDN == "" || address == "" {
		return ""
	}
	told := func(format string, args ...any) string {
		return fmt.Sprintf("stage.fqdn: from this machine %s: %s; engines report to it from the cluster, and serve without it (stage.heartbeat=off is for a cluster that cannot reach it)",
			address, fmt.Sprintf(format, args...))
	}
	transport, err := connection.TLS{CAFile: stage.Mothership.CAFile}.Transport()
	if err != nil {
		return told("%v", err)
	}
	defer transport.CloseIdleConnections()
	if proxy, err := url.Parse(stage.Mothership.Proxy); err == nil && proxy.Host != "" {
		transport.Proxy = http.ProxyURL(proxy)
	}
	ctx, cancel := context.WithTimeout(ctx, reachFor)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/healthz", nil)
	if err != nil {
		return told("%v", err)
	}
	response, err := (&http.Client{Transport: transport, CheckRedirect: connection.FollowNothing}).Do(request)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return told("nothing answers in %s", reachFor)
	case err != nil:
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return told("nothing answers: %v", err)
	}
	defer connection.Drain(response)
	switch {
	case connection.IsRedirect(response):
		return told("it sends requests on to %s, where heartbeats do not follow", connection.SentOn(response))
	case response.StatusCode != http.StatusOK:
		return told("what answers is no mothership, or not well: %s", response.Status)
	}
	return ""
}
