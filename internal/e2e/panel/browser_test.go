package panel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// timeout is how long a test waits for what a visitor would see at once.
const timeout = 2 * time.Minute

// browser is one Chromium; every visitor has a profile of their own in it.
type browser struct {
	ctx context.Context
	end []context.CancelFunc
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// startBrowser starts Chromium without a window, with all it writes in dir,
// and with nothing that calls home.
func startBrowser(ctx context.Context, path, dir string) (*browser, error) {
	profile := filepath.Join(dir, "chromium")
	if err := os.Mkdir(profile, 0o700); err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.DisableGPU, chromedp.NoSandbox,
		chromedp.Env("HOME="+profile, "XDG_CACHE_HOME="+profile, "XDG_CONFIG_HOME="+profile, "TMPDIR="+profile),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("ignore-certificate-errors", true), // the tests' own certificate
	)
	b := &browser{}
	// The browser outlives the time that starting may take.
	ctx, endAllocator := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	ctx, endBrowser := chromedp.NewContext(ctx)
	b.ctx, b.end = ctx, []context.CancelFunc{endBrowser, endAllocator}
	if err := chromedp.Do(b.ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *browser) stop() {
	_ = chromedp.Cancel(b.ctx) // ends it in order; what is left is killed
	for _, end := range b.end {
		end()
	}
}

// visitor is one person in a browser profile of their own. What their browser
// complains of fails the test at its end.
type visitor struct {
	*testing.T
	w   *world
	ctx context.Context

	troubled bool // the network or the server goes in this test, which the browser may say

	mu       sync.Mutex
	problems []string
	requests map[network.RequestID]*request
	loading  map[cdp.FrameID]bool // frames that are on their way to another page
}

// request is what a page fetched.
type request struct {
	url, kind string
	status    int64
	headers   network.Headers
	bytes     float64 // on the wire
}

// options of a visitor.
type option func(*visitor) step

// step is an action without a result.
type step = chromedp.Action[chromedp.Void]

// call sends one command of Chromium's protocol.
func call[P, R any](c cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// withoutScript is a browser that runs no JavaScript.
func withoutScript(*visitor) step {
	return call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// newVisitor opens a tab; username "" is not signed in.
func newVisitor(t *testing.T, username string, options ...option) *visitor {
	t.Helper()
	return need(t).visitor(t, username, options...)
}

// visitor opens a tab for a world's own mothership.
func (w *world) visitor(t *testing.T, username string, options ...option) *visitor {
	t.Helper()
	ctx, cancel := chromedp.NewContext(house.browser.ctx, chromedp.WithNewBrowserContext())
	v := &visitor{T: t, w: w, ctx: ctx, requests: map[network.RequestID]*request{}, loading: map[cdp.FrameID]bool{}}
	t.Cleanup(func() {
		cancel()
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, p := range v.problems {
			t.Errorf("the browser of %q complains: %s", username, p)
			if strings.Contains(p, " answered 5") {
				t.Logf("the server's log says\n%s", w.errors(t))
			}
		}
	})
	if err := chromedp.Listen(ctx, v.hear); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	actions := []step{
		call(network.Enable, network.EnableParams{}), call(runtime.Enable, cdp.Empty{}), call(log.Enable, cdp.Empty{}),
		v.size(1440, 900), v.theme("light"),
	}
	for _, o := range options {
		actions = append(actions, o(v))
	}
	if username != "" {
		cookie, err := w.session(t.Context(), username)
		if err != nil {
			t.Fatal(err)
		}
		yes := true
		actions = append(actions, call(network.SetCookie, network.SetCookieParams{Name: cookie.Name, Value: cookie.Value, URL: w.url, HTTPOnly: &yes}))
	}
	v.do(actions...)
	return v
}

// errors returns the last warnings, errors and answers of 500 in the server's
// log.
func (w *world) errors(t *testing.T) string {
	log, err := os.ReadFile(w.mothership.Log())
	if err != nil {
		t.Error(err)
	}
	var said []string
	for line := range strings.Lines(string(log)) {
		if failure.MatchString(line) {
			said = append(said, line)
		}
	}
	return strings.Join(said[max(0, len(said)-10):], "")
}

var failure = regexp.MustCompile(`"level":"(?:ERROR|WARN)"|"status":5`)

func (v *visitor) size(width, height int64) step {
	return call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// theme sets the system's colours; motion is reduced, so that nothing is
// looked at half-way.
func (v *visitor) theme(name string) step {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// hear notes what the browser complains of and what it fetches.
func (v *visitor) hear(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		v.problems = append(v.problems, "exception: "+(&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		said := arguments(e.Args)
		// htmx says so itself of a search that the next letter replaced.
		replaced := strings.HasPrefix(said, "htmx:sendAbort,") || strings.HasPrefix(said, "htmx:afterRequest,")
		if !replaced && !v.troubled && (e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert) {
			v.problems = append(v.problems, "console: "+said)
		}
	case *log.EventEntryAdded:
		// A form that is refused answers 4xx, which Chromium logs as an error.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			v.problems = append(v.problems, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *page.EventFrameStartedLoading:
		v.loading[e.FrameID] = true
	case *page.EventFrameStoppedLoading:
		delete(v.loading, e.FrameID)
	case *network.EventRequestWillBeSent:
		v.requests[e.RequestID] = &request{url: e.Request.URL, kind: string(e.Type)}
	case *network.EventResponseReceived:
		if r := v.requests[e.RequestID]; r != nil {
			r.status, r.headers = e.Response.Status, e.Response.Headers
			if r.status >= 500 && !v.troubled || r.status >= 400 && strings.Contains(r.url, "/static/") {
				v.problems = append(v.problems, fmt.Sprintf("%s answered %d", r.url, r.status))
			}
		}
	case *network.EventLoadingFinished:
		if r := v.requests[e.RequestID]; r != nil {
			r.bytes = e.EncodedDataLength
		}
	}
}

func arguments(list []*runtime.RemoteObject) string {
	var words []string
	for _, a := range list {
		words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
	}
	return strings.Join(words, " ")
}

// do runs actions, and ends the test where one fails.
func (v *visitor) do(actions ...step) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		v.Fatalf("%v\n%s", err, v.describe())
	}
}

// open goes to a page by its address. Where the browser was just going elsewhere,
// after a form that was refused, that ends this way there: it is taken again.
func (v *visitor) open(path string) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(v.w.url+path))
	for left := tries; err != nil && left > 0 && strings.Contains(err.Error(), "net::ERR_ABORTED"); left-- {
		v.settles()
		err = chromedp.Do(ctx, chromedp.Navigate(v.w.url+path))
	}
	if err != nil {
		v.Fatalf("go to %s: %v\n%s", path, err, v.describe())
	}
}

// js evaluates an expression, which works without scripts on the page too. A
// page that goes meanwhile takes the evaluation with it: the next one is asked.
func js[T any](v *visitor, expression string) T {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	for left := tries; err != nil && left > 0; left-- {
		if _, thrown := errors.AsType[*chromedp.ExceptionError](err); thrown {
			break
		}
		v.settles()
		value, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	}
	if err != nil {
		v.Fatalf("%s: %v\n%s", shorten(expression), err, v.describe())
	}
	return value
}

func shorten(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// until waits for an expression to be true.
func (v *visitor) until(expression string) {
	v.Helper()
	await[bool](v, "!!("+expression+") || null")
}

// await waits until an expression has a value. A page that is being replaced
// has none yet.
func await[T any](v *visitor, expression string) T {
	v.Helper()
	return awaitAnd[T](v, expression, func() bool { return true })
}

// stays reports whether the page is not on its way to another one. What a click
// before set off is known once the page has been looked at since.
func (v *visitor) stays() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.loading) == 0
}

// awaitAnd waits until an expression has a value, and ok is true after it.
func awaitAnd[T any](v *visitor, expression string, ok func() bool) T {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		value, err := chromedp.Run(ctx, chromedp.Evaluate[*T](expression))
		if err == nil && value != nil && ok() {
			return *value
		}
		select {
		case <-ctx.Done():
			v.Fatalf("waited for %s in vain (%v)\n%s", shorten(expression), last, v.describe())
		case <-tick.C:
			last = err
		}
	}
}

// sees waits until a text is in sight on the page, on top if a dialog is open.
func (v *visitor) sees(texts ...string) {
	v.Helper()
	for _, text := range texts {
		v.until(fmt.Sprintf("(document.querySelector('dialog[open]') ?? document.body).innerText.includes(%q)", text))
	}
}

// at waits until the page's address ends so.
func (v *visitor) at(path string) {
	v.Helper()
	v.until(fmt.Sprintf("document.readyState === 'complete' && (location.pathname + location.search + location.hash) === %q", path))
}

// describe says where the visitor is, for a failure.
func (v *visitor) describe() string {
	ctx, cancel := context.WithTimeout(v.ctx, 20*time.Second)
	defer cancel()
	where, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.querySelector('dialog[open]') ?? document.body).innerText.slice(0, 1500)`))
	if err != nil {
		return "the page cannot be read: " + err.Error()
	}
	return where
}

// fetched returns what was fetched since the last call.
func (v *visitor) fetched() []request {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []request
	for id, r := range v.requests {
		list = append(list, *r)
		delete(v.requests, id)
	}
	return list
}
