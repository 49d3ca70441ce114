package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// serve starts a shop and serves its pages.
func serve(t *testing.T, opts ...inspector.Option) (s *shop, url string) {
	t.Helper()
	sys, err := actor.Start(actor.Config{Name: "demo", Logger: zap.NewNop(), Measure: true})
	require.NoError(t, err)
	s = &shop{sys: sys}
	require.NoError(t, s.start())
	mux := http.NewServeMux()
	h := inspector.Handler(sys, append([]inspector.Option{inspector.AllowActions(), inspector.LogLevel(zap.NewAtomicLevel())}, opts...)...)
	mux.HandleFunc("/debug/tasklets/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			s.streams.Add(1)
			defer s.streams.Add(-1)
		}
		h.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = sys.Stop(ctx)
	})
	return s, server.URL + "/debug/tasklets/"
}

// trouble makes something of each sort go wrong: a crash, a full mailbox with senders in line, lost
// messages, and two that wait for each other.
func (s *shop) trouble() {
	s.fill()
	_ = s.orders.TrySend(context.Background(), "crash")
	_ = s.buyer.TrySend(context.Background(), 1)
	_ = s.seller.TrySend(context.Background(), 1)
}

// fill fills the mailbox of mail, so that three senders wait.
func (s *shop) fill() {
	for i := range 12 {
		actor.Go(s.sys, func(t *actor.Tasklet) error { return s.mail.Send(t, fmt.Sprint(i)) }, actor.Name(fmt.Sprint("customer-", i)))
	}
}

// row is an expression for the row of a table with a text, in a page.
func row(table, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('table[aria-label=%q] tbody tr')].find((r) => r.innerText.includes(%q))`, table, text)
}

// says is an expression that is true if that row has another text too.
func says(table, text, other string) string {
	return fmt.Sprintf(`(%s || {innerText: ''}).innerText.includes(%q)`, row(table, text), other)
}

// What happens is on the page within two seconds: a full mailbox, a crash and its restart, and a
// stall.
func TestSoonOnThePage(t *testing.T) {
	s, url := serve(t)
	p := open(t, chromium(t), url, "light", 1200, 900)
	p.until(5*time.Second, row("Tree", "payments"))
	require.False(t, eval[bool](p, says("Tree", "mail", "FULL")))
	s.fill()
	p.until(within, says("Tree", "mail", "FULL"))
	p.until(within, says("Needs attention", "mail", "3 waiting"))

	require.NoError(t, s.orders.TrySend(context.Background(), "crash"))
	p.until(within, says("Tree", "payments", "restarting in"))
	p.until(within, says("Needs attention", "payments", "the card was refused"))
	p.until(10*time.Second, "!"+says("Tree", "payments", "restarting in"))

	require.NoError(t, s.orders.TrySend(context.Background(), "stall"))
	p.until(within, says("Tree", "payments", "busy"))
	_ = s.buyer.TrySend(context.Background(), 1)
	_ = s.seller.TrySend(context.Background(), 1)
	p.go_("stuck")
	p.until(within, says("Keep their scheduler", "payments", "busy"))
	p.until(within, says("Full mailboxes", "mail", "FULL"))
	p.until(within, says("Full mailboxes", "mail", "customer-"))
	p.go_("events?kind=stall")
	p.until(within, says("Events", "payments", "stall"))
}

// The table is sorted and filtered by the server, the URL keeps that, and a worker that is killed
// is restarted.
func TestSortFilterKill(t *testing.T) {
	s, url := serve(t)
	s.trouble()
	p := open(t, chromium(t), url+"#/tasklets", "dark", 1200, 900)
	first := `document.querySelector('table[aria-label="Tasklets"] tbody tr').innerText`
	p.until(5*time.Second, row("Tasklets", "mail"))
	p.click("th button", "Handled")
	p.until(within, `document.querySelector('th[aria-sort=descending]').textContent === 'Handled'`)
	p.until(within, fmt.Sprintf(`/parse|price|store/.test(%s)`, first))
	p.click("th button", "Mailbox")
	p.until(within, first+`.includes('mail')`)
	p.click("th button", "Rate")
	p.until(within, fmt.Sprintf(`/parse|price|store/.test(%s) && /\/s/.test(%[1]s)`, first))
	p.run(`const i = document.querySelector('input[name=q]'); i.value = 'session-49'; i.dispatchEvent(new Event('input'))`)
	p.until(within, `document.getElementById('summary').textContent.startsWith('11 found')`)
	require.Contains(t, eval[string](p, "location.hash"), "q=session-49")
	require.Contains(t, eval[string](p, "location.hash"), "sort=rate")

	p.go_("tasklets?q=parse")
	p.until(5*time.Second, row("Tasklets", "parse"))
	require.Equal(t, 1, eval[int](p, `document.querySelectorAll('table[aria-label="Tasklets"] tbody tr').length`))
	p.run(row("Tasklets", "parse") + `.querySelector('a').click()`)
	p.until(5*time.Second, `document.querySelector('h2').textContent === '/demo/shop/parse'`)
	p.until(5*time.Second, `[...document.querySelectorAll('dt')].some((e) => e.textContent === 'on_failure')`)
	p.click(".bar button", "kill")
	time.Sleep(200 * time.Millisecond)
	require.NotContains(t, eval[string](p, "document.body.innerText"), "ended", "one click does nothing")
	p.click(".bar button", "kill: sure?")
	p.until(within, `document.body.innerText.includes('kill: done')`)
	p.until(within, `document.body.innerText.includes('ended: no tasklet has this ID now')`)
	p.go_("tree?q=parse")
	p.until(10*time.Second, says("Tree", "parse", "idle"))
	p.until(within, says("Tree", "parse", "1"))
	p.go_("events?kind=inspector_action")
	p.until(within, says("Events", "parse", "action=kill"))
}

// pages are all pages, with a text that each must show.
func pages(t *testing.T, url string) map[string]string {
	id := func(path string) string {
		resp, err := http.Get(url + "api/tasklets?rows=1000")
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		var all struct {
			Rows []struct{ Path, Tasklet string }
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&all))
		for _, r := range all.Rows {
			if r.Path == path {
				return r.Tasklet
			}
		}
		return ""
	}
	return map[string]string{
		"tree":                               "sessions",
		"tree?under=/demo/sessions&skip=190": "session-250",
		"tree?q=session-1":                   "session-12",
		"tasklets":                           "payments",
		"tasklet/" + id("/demo/shop"):        "one_for_one",
		"tasklet/" + id("/demo/shop/mail"):   "Waits for it",
		"stuck":                              "FULL",
		"events":                             "restart",
		"deadletters":                        "/demo/shop/payments",
		"system":                             "Log level",
		"cluster":                            "shop.mail",
	}
}

// All pages, on a screen and on a telephone, light and dark: they show what they should, nothing is
// wider than the screen, the console says nothing, and axe finds nothing.
func TestPages(t *testing.T) {
	s, url := serve(t)
	s.trouble()
	require.NoError(t, s.cluster())
	require.Eventually(t, func() bool { return s.orders.Len() == 0 }, time.Minute, 10*time.Millisecond)
	all := pages(t, url)
	browser := chromium(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1200, 390} {
			t.Run(fmt.Sprint(scheme, width), func(t *testing.T) {
				p := open(t, browser, url, scheme, width, 844)
				for page, text := range all {
					p.go_(page)
					p.until(5*time.Second, fmt.Sprintf(`document.querySelector('main').textContent.includes(%q)`, text))
					require.Equal(t, scheme == "dark", eval[bool](p, `getComputedStyle(document.documentElement).backgroundColor === 'rgb(13, 17, 23)'`))
					require.LessOrEqual(t, eval[int](p, `document.documentElement.scrollWidth`), int(width), page)
					require.Zero(t, eval[int](p, `document.querySelectorAll('img, iframe, object').length`), "a name became markup")
					p.accessible(page)
					if dir := os.Getenv("SHOTS"); dir != "" {
						name, _, _ := strings.Cut(strings.NewReplacer("/", "-", "?", "_").Replace(page), "&")
						require.NoError(t, os.WriteFile(fmt.Sprintf("%s/%s-%s-%d.png", dir, name, scheme, width), p.shot(), 0o644))
					}
				}
			})
		}
	}
}

// The tabs of a browser share one stream, however many there are, and each has its own page. When
// they are closed there is none.
func TestOneStream(t *testing.T) {
	s, url := serve(t)
	browser := chromium(t)
	var tabs []*tab
	for range 8 {
		tabs = append(tabs, open(t, browser, url+"#/tasklets?sort=name", "light", 600, 400))
	}
	system := open(t, browser, url+"#/system", "light", 600, 400)
	system.until(10*time.Second, `document.body.innerText.includes('Log level')`)
	for _, p := range tabs {
		p.until(10*time.Second, `document.getElementById('summary').textContent.includes('by name')`)
	}
	require.Eventually(t, func() bool { return s.streams.Load() == 1 }, time.Minute, 10*time.Millisecond)
	actor.Go(s.sys, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("aaa"))
	for _, p := range tabs {
		p.until(within, row("Tasklets", "/demo/aaa"))
	}
	for _, p := range append(tabs, system) {
		require.NoError(t, chromedp.Cancel(p.ctx))
	}
	require.Eventually(t, func() bool { return s.streams.Load() == 0 }, time.Minute, 10*time.Millisecond)
}

// A tab with what is not there any more says so for as long as it is open. The other tabs, which
// have the same stream, do not notice.
func TestEndedTasklet(t *testing.T) {
	s, url := serve(t)
	browser := chromium(t)
	tree := open(t, browser, url, "light", 600, 400)
	tree.until(10*time.Second, row("Tree", "payments"))
	problem := `document.querySelector('main [role=alert]').textContent`
	for page, why := range map[string]string{
		"tasklet/00000000-0000-0000-0000-000000000000": "no tasklet has this ID now",
		"tree?under=/demo/nobody":                      "no tasklet has this path now",
		"tasklets?sort=nothing":                        "sort must be",
	} {
		p := open(t, browser, url+"#/"+page, "light", 600, 400)
		p.until(5*time.Second, problem+fmt.Sprintf(`.includes(%q)`, why))
		time.Sleep(1500 * time.Millisecond) // the page draws itself each second
		require.Contains(t, eval[string](p, problem), why)
		require.NoError(t, chromedp.Cancel(p.ctx))
	}
	other := open(t, browser, url+"#/tree?under=/demo/nobody", "light", 600, 400)
	other.until(5*time.Second, problem)
	name := "zzz"
	late := actor.Go(s.sys, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name(name))
	tree.until(within, row("Tree", name))
	require.Empty(t, eval[string](tree, problem))

	// One that ends while it is shown, and a path that comes back.
	other.run(fmt.Sprintf("location.hash = %q", "#/tree?under=/demo/"+name))
	other.until(5*time.Second, row("Tree", name))
	require.Empty(t, eval[string](other, problem))
	late.Kill()
	other.until(within, problem+`.includes('no tasklet has this path now')`)
	actor.Go(s.sys, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name(name))
	other.until(within, problem+` === ''`)
}

// With the keyboard only: Tab goes through the links and the fields, and each has a visible mark.
func TestKeyboard(t *testing.T) {
	_, url := serve(t)
	p := open(t, chromium(t), url, "light", 1200, 900)
	p.until(5*time.Second, row("Tree", "payments"))
	reached := eval[[]string](p, `(() => {
		const out = [];
		for (const e of document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')) {
			if (e.closest('[hidden]')) continue;
			e.focus();
			if (document.activeElement !== e) out.push('not reached: ' + e.outerHTML);
		}
		return out;
	})()`)
	require.Empty(t, reached)
}
