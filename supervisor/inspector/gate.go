package inspector

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// admit decides whether r is answered, and answers it if not. who is who makes it. entry says that
// r is for the first page, to which another site may have a link.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, entry bool) (who string, ok bool) {
	if len(r.URL.RawQuery) > maxQuery {
		fail(w, http.StatusRequestURITooLong, "the query is too long")
		return "", false
	}
	host := hostOf(r.Host)
	known := host == "localhost" || slices.Contains(h.hosts, host)
	if addr, err := netip.ParseAddr(host); err == nil {
		known = known || h.authorize != nil || addr.Unmap().IsLoopback()
	}
	switch {
	case !known && h.authorize == nil:
		return h.refuse(w, "the host must be localhost or a loopback address; see inspector.Authorize")
	case !known:
		return h.refuse(w, "this host name is not among those of inspector.Authorize")
	case !h.sameSite(r, entry):
		return h.refuse(w, "requests from pages of other sites are refused")
	case h.authorize != nil:
		return h.ask(w, r)
	case !isLoopback(r.RemoteAddr):
		return h.refuse(w, "only requests from this machine are answered; see inspector.Authorize")
	case forwarded(r.Header):
		return h.refuse(w, "a proxy has forwarded the request; see inspector.Authorize")
	}
	return r.RemoteAddr, true
}

func (h *handler) refuse(w http.ResponseWriter, why string) (string, bool) {
	fail(w, http.StatusForbidden, why)
	return "", false
}

// ask asks the function of Authorize.
func (h *handler) ask(w http.ResponseWriter, r *http.Request) (who string, ok bool) {
	if fault := guard.Call(func() { who, ok = h.authorize(r) }); fault != nil {
		fail(w, http.StatusForbidden, "the function of inspector.Authorize "+text.Line(text.Cut(fault.String(), text.MaxName)))
		return "", false
	}
	if !ok {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="tasklets"`)
			fail(w, http.StatusUnauthorized, "the request is not authorized")
			return "", false
		}
		return h.refuse(w, "the request is not authorized")
	}
	if who == "" {
		who = r.RemoteAddr
	}
	return who, true
}

// hostOf returns the host of a Host header in lower case, without the port and without the brackets
// of an IPv6 address.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isLoopback reports whether a remote address is of the loopback interface.
func isLoopback(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// forwarded reports whether a proxy has added its headers.
func forwarded(h http.Header) bool {
	for key := range h {
		if strings.HasPrefix(key, "X-Forwarded") || slices.Contains(proxyHeaders, key) {
			return true
		}
	}
	return false
}

// proxyHeaders are the other headers by which proxies say for whom they ask. A proxy that adds none
// cannot be told from a program on this machine.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host",
	"X-Envoy-External-Address", "X-Amzn-Trace-Id", "X-Proxyuser-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip",
}

// sameSite reports whether r comes from a page of the handler, from somebody who has typed the
// address, or from a program that is no browser. entry allows links of other sites.
func (h *handler) sameSite(r *http.Request, entry bool) bool {
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		switch {
		case site == "same-origin", site == "none" && get:
		case entry && get && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document":
		default:
			return false
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return false // also the origin "null" of a sandboxed page
		}
		if !strings.EqualFold(u.Host, r.Host) && !slices.Contains(h.hosts, hostOf(u.Host)) {
			return false
		}
	}
	return true
}
