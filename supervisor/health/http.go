package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gotasklet/tasklet/internal/text"
)

// problem is a row of a response.
type problem struct {
	Path    string `json:"path"`
	Problem string `json:"problem"`
}

// result is the row of a check.
type result struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Problem string `json:"problem,omitempty"`
}

// response is the body of a response.
type response struct {
	Status   string    `json:"status"`
	Problems []problem `json:"problems,omitempty"`
	More     int       `json:"more,omitempty"` // the number of problems without a row
	Checks   []result  `json:"checks,omitempty"`
}

const (
	statusOK   = "ok"
	statusFail = "fail"
)

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the method must be GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	answer := h.answer(r)
	var body []byte
	if wantsText(r.Header.Values("Accept")) {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		body = answer.text()
	} else {
		header.Set("Content-Type", "application/json")
		body, _ = json.Marshal(answer) // strings and numbers, which cannot fail
		body = append(body, '\n')
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	code := http.StatusOK
	if answer.Status != statusOK {
		code = http.StatusServiceUnavailable
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone if it fails
	}
}

// answer returns the response to r. It waits for the checks only.
func (h *handler) answer(r *http.Request) response {
	calls := make([]*call, len(h.checks))
	for i, c := range h.checks {
		calls[i] = c.begin()
	}
	a := response{Status: statusOK}
	a.Problems, a.More = h.problems()
	if len(a.Problems) > 0 || a.More > 0 {
		a.Status = statusFail
	}
	for i, c := range h.checks {
		row := result{Name: c.Name, Status: statusOK, Problem: c.wait(r.Context(), calls[i])}
		if row.Problem != "" {
			row.Status, a.Status = statusFail, statusFail
		}
		a.Checks = append(a.Checks, row)
	}
	return a
}

// text returns the response as text, with a line for each row. Nothing in it has a line break.
func (a response) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, a.Status)
	for _, p := range a.Problems {
		fmt.Fprintf(&b, "%s: %s\n", text.Word(p.Path), p.Problem)
	}
	if a.More > 0 {
		fmt.Fprintf(&b, "%d more\n", a.More)
	}
	for _, c := range a.Checks {
		fmt.Fprintf(&b, "check %s: %s\n", text.Word(c.Name), or(c.Problem, c.Status))
	}
	return b.Bytes()
}

// wantsText reports whether an Accept header names text/plain, and does not prefer JSON to it.
func wantsText(accept []string) bool {
	var plain, jsonish float64
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			q := 1.0
			for p := range strings.SplitSeq(params, ";") {
				if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(p)), "q="); ok {
					if f, err := strconv.ParseFloat(v, 64); err == nil {
						q = f
					}
				}
			}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "text/plain":
				plain = max(plain, q)
			case "application/json":
				jsonish = max(jsonish, q)
			}
		}
	}
	return plain > jsonish
}
