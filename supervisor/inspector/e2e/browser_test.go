package e2e

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// within is how soon a page must show what has happened.
const within = 2 * time.Second

// required says that a missing browser or a missing axe fails the tests. The gate sets it, after it
// has installed them.
var required = os.Getenv("INSPECTOR_E2E") == "required"

// missing skips a test that cannot run here.
func missing(t *testing.T, what string) {
	if required {
		t.Fatal(what)
	}
	t.Skip(what)
}

// chromium returns a context with a browser of its own, which ends with the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		missing(t, "there is no Chromium here")
	}
	// A container lets nobody make the namespaces of the sandbox. The pages are our own.
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-dev-shm-usage", true)))
	t.Cleanup(cancel)
	// The browser lives as long as its first tab.
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return ctx
}

// tab is a page in a browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the console says
}

// open opens the pages at url in a new tab. scheme is light or dark.
func open(t *testing.T, browser context.Context, url, scheme string, width, height int64) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, height)))
	require.NoError(t, chromedp.Listen(ctx, p.listen))
	_, err := chromedp.Call(ctx, log.Enable, struct{}{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url)))
	p.until(10*time.Second, `document.getElementById('status').textContent === 'live'`)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.problems) > 0 {
			t.Errorf("the console says: %s", strings.Join(p.problems, "\n"))
		}
	})
	return p
}

// listen records errors and warnings of the console.
func (p *tab) listen(e any) {
	text := ""
	switch e := e.(type) {
	case *runtime.EventExceptionThrown:
		b, _ := json.Marshal(e.ExceptionDetails)
		text = string(b)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			b, _ := json.Marshal(e.Args)
			text = string(b)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, text)
	}
}

// allow forgets what the console says about part, which must be there.
func (p *tab) allow(part string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var left []string
	for _, s := range p.problems {
		if !strings.Contains(s, part) {
			left = append(left, s)
		}
	}
	p.problems = left
}

// eval returns the value of an expression in the page.
func eval[T any](p *tab, expr string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expr))
	require.NoError(p.t, err, expr)
	return v
}

// run evaluates an expression that has no value.
func (p *tab) run(expr string) { p.t.Helper(); eval[bool](p, "(() => {"+expr+"; return true})()") }

// until waits until an expression is true. It counts the limit in looks at the page: on a machine
// that stands still or is busy, each takes longer.
func (p *tab) until(limit time.Duration, expr string) {
	p.t.Helper()
	const pause = 20 * time.Millisecond
	for left := limit; ; left -= pause {
		if eval[bool](p, "(() => { try { return Boolean("+expr+") } catch { return false } })()") {
			return
		}
		if left < 0 {
			require.FailNow(p.t, "not within "+limit.String(), "%s\n%s", expr, eval[string](p, `document.body.innerText`))
		}
		time.Sleep(pause)
	}
}

// go_ shows a page, and waits until it has its rows.
func (p *tab) go_(page string) {
	p.t.Helper()
	p.run(fmt.Sprintf("location.hash = %q", "#/"+page))
	p.until(5*time.Second, `document.getElementById('status').textContent === 'live'`)
	p.until(5*time.Second, `document.getElementById('system').textContent !== '' && document.querySelector('main').innerText.length > 20`)
	time.Sleep(300 * time.Millisecond)
}

// click clicks the first element of a selector with a text.
func (p *tab) click(selector, text string) {
	p.t.Helper()
	p.until(5*time.Second, fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent === %q)`, selector, text))
	p.run(fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => e.textContent === %q).click()`, selector, text))
}

// shot returns a picture of the page.
func (p *tab) shot() []byte {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	return png
}

// axeVersion is the version of axe-core that looks at the pages.
const axeVersion = "4.14.1"

// axeSource returns the program of axe-core: the file that AXE_CORE names, or that of the package
// in the registry of npm.
var axeSource = sync.OnceValues(func() (string, error) {
	if file := os.Getenv("AXE_CORE"); file != "" {
		text, err := os.ReadFile(file)
		return string(text), err
	}
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if out, err := exec.Command("npm", "pack", "--silent", "axe-core@"+axeVersion, "--pack-destination", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err != nil {
			return "", errors.New("axe-core has no axe.min.js")
		}
		if h.Name == "package/axe.min.js" {
			text, err := io.ReadAll(files)
			return string(text), err
		}
	}
})

// finding is what axe says about a rule.
type finding struct {
	ID    string
	Nodes []struct {
		Target         []any
		HTML           string
		FailureSummary string
	}
}

// accessible runs axe on the page. Contrast that axe cannot decide counts as too low.
func (p *tab) accessible(page string) {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		missing(p.t, "there is no axe-core here: "+err.Error())
	}
	if !eval[bool](p, "Boolean(window.axe)") {
		p.run(source)
	}
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ['violations', 'incomplete']}).then((r) => JSON.stringify({violations: r.violations, incomplete: r.incomplete}))`,
		chromedp.EvalAwaitPromise))
	require.NoError(p.t, err)
	var r struct{ Violations, Incomplete []finding }
	require.NoError(p.t, json.Unmarshal([]byte(text), &r))
	for _, f := range r.Incomplete {
		if strings.Contains(f.ID, "contrast") {
			r.Violations = append(r.Violations, f)
		}
	}
	for _, f := range r.Violations {
		for i, n := range f.Nodes {
			if i < 5 {
				p.t.Errorf("%s: axe says %s about %v: %s\n%s", page, f.ID, n.Target, n.HTML, n.FailureSummary)
			}
		}
	}
}
