package panel

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestFirstPageIsLight loads pages with an empty cache, as the first visit of
// the day: how many bytes come over the wire, in how many requests, what they
// say about keeping them, what blocks, and what moves. It runs beside no other
// test: what those change moves rows of lists that are open.
func TestFirstPageIsLight(t *testing.T) {
	w := need(t)
	for _, path := range []string{"/", "/satellites/" + w.satellite, "/audit", "/docs/deploying"} {
		v := newVisitor(t, "ada")
		v.fetched()
		v.open(path)
		v.until("document.readyState === 'complete'")
		v.until("performance.getEntriesByType('paint').length > 0")
		total, requests := 0.0, v.fetched()
		for _, r := range requests {
			total += r.bytes
			v.checkRequest(r)
		}
		t.Logf("%s: %.1f kB in %d requests", path, total/1000, len(requests))
		if total > 60*1024 || total < 1000 {
			t.Errorf("%s takes %.0f bytes over the wire, want at most %d", path, total, 60*1024)
		}
		// The style sheet may hold up the first paint; scripts may not.
		if blocking := js[string](v, `performance.getEntriesByType('resource').filter((e) => e.renderBlockingStatus === 'blocking' && !e.name.endsWith('.css')).map((e) => e.name).join()`); blocking != "" {
			t.Errorf("%s waits for %s", path, blocking)
		}
		if n := js[int](v, `performance.getEntriesByType('resource').filter((e) => e.renderBlockingStatus === 'blocking').length`); n > 1 {
			t.Errorf("%s waits for %d requests before it shows, want one style sheet", path, n)
		}
		shift := js[string](v, `new Promise((give) => {
			let moved = '';
			new PerformanceObserver((list) => {
				for (const e of list.getEntries()) {
					moved += e.value.toFixed(4) + ' ' + e.sources.map((s) => JSON.stringify([s.previousRect, s.currentRect]) + (s.node?.outerHTML ?? s.node?.textContent ?? '').slice(0, 100)).join('; ');
				}
			}).observe({ type: 'layout-shift', buffered: true });
			requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => give(moved))));
		})`)
		if shift != "" {
			t.Errorf("%s: what is shown moves: %s", path, shift)
		}
	}
}

// checkRequest looks at how an answer is compressed and kept.
func (v *visitor) checkRequest(r request) {
	v.Helper()
	if r.status == 0 || strings.HasPrefix(r.url, "data:") { // an icon on its way, or one inside the browser
		return
	}
	header := func(name string) string {
		for key, value := range r.headers {
			if strings.EqualFold(key, name) {
				s, _ := value.(string)
				return s
			}
		}
		return ""
	}
	kept, text := header("Cache-Control"), strings.HasSuffix(r.url, ".css") || strings.HasSuffix(r.url, ".js") || r.kind == "Document"
	switch {
	case !strings.HasPrefix(r.url, v.w.url):
		v.Errorf("the page fetches %s, which is not ours", r.url)
	case strings.Contains(r.url, "/static/") && kept != "public, max-age=31536000, immutable":
		v.Errorf("%s is kept as %q, want for a year", r.url, kept)
	case r.kind == "Document" && kept != "no-store":
		v.Errorf("%s is kept as %q, want not at all", r.url, kept)
	}
	if text && header("Content-Encoding") != "gzip" {
		v.Errorf("%s comes uncompressed", r.url)
	}
}

// TestSecondPageComesFromTheCache fetches nothing twice that does not change.
// The icon is the browser's own affair: it is not asked for by the page, and
// Chromium fetches it when and as often as it likes.
func TestSecondPageComesFromTheCache(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/")
	v.until("document.readyState === 'complete'")
	v.fetched()
	v.open("/algorithms")
	v.until("document.readyState === 'complete'")
	for _, r := range v.fetched() {
		if strings.Contains(r.url, "/static/") && !strings.Contains(r.url, "/favicon.") && r.bytes > 0 {
			t.Errorf("%s came again, %.0f bytes", r.url, r.bytes)
		}
	}
}

// TestHeaders asks a server whose public URL is HTTPS what browsers are told.
func TestHeaders(t *testing.T) {
	w := need(t)
	t.Parallel()
	for _, path := range []string{"/login", "/docs", "/nowhere"} {
		h := w.get(t, path).Header
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy %q has a hole", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
	}
	answer := w.do(t, http.MethodDelete, "/login", nil)
	if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") == "" {
		t.Errorf("DELETE /login = %d, Allow %q, want 405 and what is allowed", answer.StatusCode, answer.Header.Get("Allow"))
	}
}

func (w *world) get(t *testing.T, path string) *http.Response {
	return w.do(t, http.MethodGet, path, nil)
}

func (w *world) do(t *testing.T, method, path string, form url.Values) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// TestThemeIsKept chooses dark with the switch, whatever the system has.
func TestThemeIsKept(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "linus", options...)
		v.open("/")
		const background = "getComputedStyle(document.documentElement).backgroundColor"
		light := js[string](v, background)
		v.click("Dark")
		v.until("document.documentElement.dataset.theme === 'dark'")
		if dark := js[string](v, background); dark == light {
			t.Errorf("the dark page is as light as the other: %s", dark)
		}
		v.open("/algorithms")
		v.until("document.documentElement.dataset.theme === 'dark'")
	})
}

// TestReadmePicture draws the README's picture of the panel where
// CONSTELLATION_PICTURE says; else it only sees that it can be drawn.
func TestReadmePicture(t *testing.T) {
	w := need(t)
	t.Parallel()
	target := os.Getenv("CONSTELLATION_PICTURE")
	if target == "" {
		target = filepath.Join(t.TempDir(), "panel.png")
	}
	v := newVisitor(t, "ada")
	v.do(v.size(1280, 800))
	v.open("/satellites/" + w.satellite)
	v.sees("Frankfurt", "Up", "Degraded")
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if len(image) > 150_000 {
		t.Errorf("the picture has %d bytes; with the demo's it is to stay under 300 kB", len(image))
	}
	if err := os.WriteFile(target, image, 0o644); err != nil {
		t.Fatal(err)
	}
}
