package inspector_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// Without Authorize only this machine gets in, and only under a name that no other site can have.
func TestOnlyLoopback(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	for _, c := range []struct {
		header []string
		ok     bool
	}{
		{nil, true},
		{[]string{"Host", "127.0.0.1"}, true},
		{[]string{"Host", "127.8.9.1:80"}, true},
		{[]string{"Host", "[::1]:8080"}, true},
		{[]string{"Host", "[::1]"}, true},
		{[]string{"Host", "LOCALHOST:8080"}, true},
		{[]string{"Host", "localhost."}, true},
		{[]string{"Remote", "[::1]:1234"}, true},
		{[]string{"Remote", "[::ffff:127.0.0.1]:1234"}, true},
		// DNS rebinding: the address is this machine's, and the name is the attacker's.
		{[]string{"Host", "evil.example"}, false},
		{[]string{"Host", "evil.example:8080"}, false},
		{[]string{"Host", "localhost.evil.example"}, false},
		{[]string{"Host", "127.0.0.1.evil.example"}, false},
		{[]string{"Host", "localhost@evil.example"}, false},
		{[]string{"Host", "10.0.0.1"}, false},
		{[]string{"Host", "0.0.0.0:8080"}, false},
		{[]string{"Host", "[::]"}, false},
		{[]string{"Host", ""}, false},
		{[]string{"Host", "localhost:80:90"}, false},
		// From another machine, whatever it says.
		{[]string{"Remote", "10.0.0.7:1234"}, false},
		{[]string{"Remote", "[fe80::1]:1234"}, false},
		{[]string{"Remote", "@"}, false},
		{[]string{"Remote", ""}, false},
		{[]string{"Remote", "localhost:1234"}, false},
		// A proxy on this machine stands for somebody else.
		{[]string{"X-Forwarded-For", "10.0.0.7"}, false},
		{[]string{"Forwarded", "for=10.0.0.7"}, false},
		{[]string{"X-Real-Ip", "10.0.0.7"}, false},
		{[]string{"Via", "1.1 proxy"}, false},
		{[]string{"Via", ""}, false},
		{[]string{"X-Forwarded-Server", "proxy"}, false},
		{[]string{"x-forwarded-port", "443"}, false},
		{[]string{"X-Forwarded", "for=10.0.0.7"}, false},
		{[]string{"CF-Connecting-IP", "10.0.0.7"}, false},
		{[]string{"X-Client-IP", "127.0.0.1"}, false},
		{[]string{"X-Envoy-External-Address", "10.0.0.7"}, false},
	} {
		for _, path := range []string{"", "app.js", "api/tree", "api/stream", "api/tasklet/x/stack"} {
			w := do(h, request(http.MethodGet, mount+path, c.header...))
			require.Equal(t, c.ok, w.Code != http.StatusForbidden, "%v %s: %d", c.header, path, w.Code)
		}
	}
}

// A page of another site gets nothing and does nothing, with and without Authorize. The only thing
// that it may have is a link to the first page.
func TestOtherSites(t *testing.T) {
	sys := system(t, actor.Config{})
	everybody := inspector.Authorize(func(*http.Request) (string, bool) { return "ada", true }, "inspector.example")
	for _, h := range []http.Handler{
		inspector.Handler(sys, inspector.AllowActions()),
		inspector.Handler(sys, inspector.AllowActions(), everybody),
	} {
		for _, c := range []struct {
			header    []string
			get, post bool
		}{
			{nil, true, true},
			{[]string{"Sec-Fetch-Site", "same-origin"}, true, true},
			{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"}, true, true},
			{[]string{"Sec-Fetch-Site", "none"}, true, false},
			{[]string{"Sec-Fetch-Site", "same-site"}, false, false}, // another port of this machine
			{[]string{"Sec-Fetch-Site", "cross-site"}, false, false},
			{[]string{"Sec-Fetch-Site", ""}, false, false},
			{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, false, false},
			{[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false, false},
			// A browser that is too old for Sec-Fetch-Site.
			{[]string{"Origin", "http://localhost:8080"}, true, true},
			{[]string{"Origin", "http://localhost:3000"}, false, false},
			{[]string{"Origin", "http://evil.example"}, false, false},
			{[]string{"Origin", "null"}, false, false},
			{[]string{"Origin", "http://localhost:8080.evil.example"}, false, false},
		} {
			w := do(h, request(http.MethodGet, mount+"api/tree", c.header...))
			require.Equal(t, c.get, w.Code == http.StatusOK, "GET %v: %d", c.header, w.Code)
			w = do(h, request(http.MethodPost, mount+"api/tasklet/"+id(sys.Root())+"/nothing", c.header...))
			require.Equal(t, c.post, w.Code == http.StatusNotFound, "POST %v: %d", c.header, w.Code)
			if !c.post {
				require.Equal(t, http.StatusForbidden, w.Code)
			}
		}
		link := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
		require.Equal(t, http.StatusOK, do(h, request(http.MethodGet, mount, link...)).Code)
		link[5] = "iframe"
		require.Equal(t, http.StatusForbidden, do(h, request(http.MethodGet, mount, link...)).Code)
	}
}

// The function of Authorize decides, except about names under which another site could come.
func TestAuthorize(t *testing.T) {
	sys := system(t, actor.Config{})
	h := inspector.Handler(sys, inspector.Authorize(func(r *http.Request) (string, bool) {
		switch user, password, _ := r.BasicAuth(); {
		case user == "panic":
			panic("<b>")
		case user == "goexit":
			runtime.Goexit()
		default:
			return user, password == "secret"
		}
		return "", true
	}, "Inspector.example."))
	basic := func(user, password string) string {
		r := request(http.MethodGet, "/")
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	for _, c := range []struct {
		host, authorization string
		code                int
	}{
		{"inspector.example", basic("ada", "secret"), 200},
		{"INSPECTOR.example:443", basic("ada", "secret"), 200},
		{"10.1.2.3:8080", basic("ada", "secret"), 200},
		{"localhost", basic("ada", "secret"), 200},
		{"other.example", basic("ada", "secret"), 403},
		{"x.inspector.example", basic("ada", "secret"), 403},
		{"inspector.example", basic("ada", "wrong"), 403},
		{"inspector.example", "", 401},
		{"inspector.example", basic("panic", ""), 403},
		{"inspector.example", basic("goexit", ""), 403},
	} {
		header := []string{"Host", c.host, "Remote", "192.0.2.1:1", "X-Forwarded-For", "198.51.100.7"}
		if c.authorization != "" {
			header = append(header, "Authorization", c.authorization)
		}
		w := do(h, request(http.MethodGet, mount+"api/tree", header...))
		require.Equal(t, c.code, w.Code, "%+v: %s", c, w.Body)
		require.Equal(t, c.code == 401, w.Header().Get("WWW-Authenticate") != "")
		require.NotContains(t, w.Body.String(), "<b>")
	}
	// The origin of a page that a proxy serves under a name of its own.
	require.Equal(t, 200, do(h, request(http.MethodGet, mount+"api/tree", "Authorization", basic("ada", "secret"),
		"Origin", "https://inspector.example", "Host", "10.1.2.3:8080")).Code)
}

// Every answer, also a refusal, has the headers that keep a browser from doing anything else.
func TestHeaders(t *testing.T) {
	sys := system(t, actor.Config{})
	h := inspector.Handler(sys)
	for _, path := range []string{"", "style.css", "app.js", "draw.js", "worker.js", "nothing", "api/tree", "api/nothing", "api/tree?format=text"} {
		for _, host := range []string{"localhost", "evil.example"} {
			header := do(h, request(http.MethodGet, mount+path, "Host", host)).Header()
			for key, want := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			} {
				require.Equal(t, want, header.Get(key), "%s of %s", key, path)
			}
			csp := header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
				require.Contains(t, csp, part)
			}
			require.NotContains(t, csp, "unsafe")
			require.Empty(t, header.Get("Access-Control-Allow-Origin"))
			require.NotContains(t, header.Get("Content-Type"), "html; charset=utf-8;")
			if path != "" || host != "localhost" {
				require.NotContains(t, header.Get("Content-Type"), "html", path)
			}
		}
	}
}

// The pages work under every path, and others are not found.
func TestRoutes(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	for path, code := range map[string]int{
		"/debug/tasklets/": 200, "/": 200, "/api/": 200, "/x/api/": 200, "/api": 404, "/api/nothing": 404, "/x/app.js": 200, "/api/tasklets/api/tree": 200,
		"/api/tree": 200, "/x/api/tree": 200, "/x/nothing": 404, "/x/web/app.js": 200, "/x/inspector.go": 404,
		"/api/v1/tasklets/": 200, "/api/v1/tasklets/app.js": 200, "/api/v1/tasklets/api/tree": 200, "/api/tasklets/": 200,
		"/api/tasklets/api/stuck": 200, "/api/v1/tasklets/nothing": 404, "/x/api//tree": 404, "/x/api/../tree": 404, "/x/api/tree%2F": 200,
		"/x/api/tasklet/../tree": 400, "/x/api/tasklet//stack": 400, "/x/api/tasklet/../stack": 400, "/x/api/event/-1": 400,
		"/x/api/event/18446744073709551616": 400, "/x/api/tasklet/%00": 400, "/x/api/tasklet/%ff": 400, "/x/api/event/1/stack": 400,
		"/x/api/tree/": 200, "/x/api/tree/y": 404, "/x/api/tasklet": 404, "/x/api/tasklet/y": 400, "/x/api/event/y": 400,
		"/x/api/tasklet/00000000-0000-0000-0000-000000000000": 404, "/x/api/event/99999": 404,
	} {
		w := do(h, request(http.MethodGet, path))
		require.Equal(t, code, w.Code, path)
	}
	require.Equal(t, 405, do(h, request(http.MethodPost, "/")).Code)
	require.Equal(t, 405, do(h, request(http.MethodDelete, "/api/tree")).Code)
	require.Empty(t, do(h, request(http.MethodHead, "/api/tree")).Body.String())
	require.Equal(t, 414, do(h, request(http.MethodGet, "/api/tree?q="+strings.Repeat("x", 5000))).Code)
	for _, bad := range []string{"tree?rows=1", "tree?rows=x", "tree?rows=1001", "tree?format=xml", "tree?skip=-1", "tasklets?sort=x", "events?level=loud", "tree?width=-1",
		"tree?row=5", "tree?rows=5&rows=6", "tree?state=lost", "tasklets?limit=5", "stuck?q=x", "events?state=idle", "system?rows=5",
		"deadletters?x", "stream?view=tree&x=1", "tree?q=%zz", "tree?q=a;b", "tree?rows=50&q=%", "stream?view=tree%", "events?rows=99999999999999999999", "events?rows=-0x1", "tasklets?rows=1e2"} {
		require.NotEmpty(t, refused(t, h, request(http.MethodGet, "/api/"+bad), 400), bad)
	}
	require.NotEmpty(t, refused(t, h, request(http.MethodGet, "/api/tree?under=/nobody"), 404))
}

// The files that a browser loads are small.
func TestSize(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	n := 0
	for _, path := range []string{"", "style.css", "app.js", "draw.js", "worker.js"} {
		n += do(h, request(http.MethodGet, mount+path)).Body.Len()
	}
	require.Less(t, n, 40_000)
	require.Greater(t, n, 10_000)
}

// The pages put no text into the document as markup.
func TestNoMarkup(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	for _, path := range []string{"", "app.js", "draw.js", "worker.js"} {
		body := do(h, request(http.MethodGet, mount+path)).Body.String()
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc", "javascript:", "style=", "onclick=\""} {
			require.NotContains(t, body, sink, path)
		}
	}
}

func TestMisuse(t *testing.T) {
	sys := system(t, actor.Config{})
	for want, f := range map[string]func(){
		"inspector: Handler of a nil *actor.System":     func() { inspector.Handler(nil) },
		"inspector: Handler with a nil Option":          func() { inspector.Handler(sys, nil) },
		"inspector: Authorize with a nil function":      func() { inspector.Authorize(nil) },
		"inspector: LogLevel of a zero zap.AtomicLevel": func() { inspector.LogLevel(zap.AtomicLevel{}) },
		"inspector: Publish of a nil function":          func() { inspector.Publish(sys.Root(), nil) },
		`inspector: Authorize: "https://a" is not a host name; it must have no scheme, port or asterisk`: func() {
			inspector.Authorize(func(*http.Request) (string, bool) { return "", true }, "https://a")
		},
		`inspector: Authorize: "*.a" is not a host name; it must have no scheme, port or asterisk`: func() {
			inspector.Authorize(func(*http.Request) (string, bool) { return "", true }, "*.a")
		},
	} {
		require.PanicsWithValue(t, want, f)
	}
}
