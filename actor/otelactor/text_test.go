package otelactor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// textRow is a row of a tree as text: its path, as the lines of the tree say, and its cells.
type textRow struct {
	path  string
	cells []string
}

var columns = regexp.MustCompile(` {2,}`)

// textRows returns the rows of a text of tree.Write without a limit of width, and the lines of its
// folds.
func textRows(tb testing.TB, text string) (rows []textRow, folds []string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	require.True(tb, strings.HasPrefix(lines[0], "supervision tree "), lines[0])
	var above []string // the paths on the way to the last row
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, "(+") {
			folds = append(folds, line)
			continue
		}
		depth, rest := 0, line
		for {
			next := ""
			for _, stem := range []string{"├─ ", "└─ ", "│  ", "   "} {
				if after, ok := strings.CutPrefix(rest, stem); ok {
					next = after
				}
			}
			if next == "" {
				break
			}
			depth, rest = depth+1, next
		}
		cells := columns.Split(strings.TrimRight(rest, " "), -1)
		require.LessOrEqual(tb, depth, len(above), line)
		path := "/" + cells[0]
		if depth > 0 && cells[0] != "(daemons)" {
			path = above[depth-1] + path
		}
		above = append(above[:depth], path)
		rows = append(rows, textRow{path, cells[1:]})
	}
	return rows, folds
}

// jsonRow is a row of a tree in an entry of the log.
type jsonRow map[string]any

func (r jsonRow) has(key string) bool { return r[key] != nil }

func (r jsonRow) text(key string) string { s, _ := r[key].(string); return s }

func (r jsonRow) number(key string) float64 { x, _ := r[key].(float64); return x }

// whole returns a number that counts something, as text.
func (r jsonRow) whole(key string) string { return strconv.FormatFloat(r.number(key), 'f', -1, 64) }

func (r jsonRow) time(key string) time.Duration {
	return time.Duration(math.Round(r.number(key+"_seconds") * float64(time.Second)))
}

// cells returns what a row must show as text. It is written from the documentation of the text, and
// has nothing in common with the code that writes it.
func (r jsonRow) cells() (cells []string) {
	add := func(format string, args ...any) { cells = append(cells, fmt.Sprintf(format, args...)) }
	state := r.text("state")
	switch {
	case state == "stalled" || state == "restarting":
		add("%s", strings.ToUpper(state))
	case r["restarted"] == true:
		add("RESTARTED")
	}
	words := state
	switch state {
	case "stalled":
		words = "busy " + span(r.time("for"))
		if r.has("message") {
			words += " on " + r.text("message")
		}
	case "restarting":
		if r.has("until_seconds") {
			words += " in " + span(r.time("until"))
		}
	case "sleeping":
		if r.has("until_seconds") {
			words += " " + span(r.time("until"))
		}
	case "parked":
		if r.has("wait") {
			words += " " + span(r.time("for")) + " in " + r.text("wait")
			if r.has("on") {
				words += " " + r.text("on")
			}
		}
	}
	if r.has("total_restarts") { // a supervisor or a pool
		kind := r.text("kind")
		if !r.has("strategy") {
			kind += " " + r.whole("children")
		}
		add("%s", kind)
		if r.has("strategy") {
			add("%s", r.text("strategy"))
		}
		if !slices.Contains([]string{"idle", "ready", "running"}, state) {
			add("%s", words)
		}
		if r.has("note") {
			add("%s", r.text("note"))
		}
		add("up %s", ago(r.time("up")))
		if r.has("max_restarts") {
			add("restarts %s/%s in %.0fs", r.whole("window_restarts"), r.whole("max_restarts"), r.number("window_seconds"))
		} else {
			add("restarts %s unlimited", r.whole("total_restarts"))
		}
	} else {
		add("%s", r.text("kind"))
		add("%s", words)
	}
	if r.has("mailbox_len") {
		size := r.whole("mailbox_cap")
		if size == "0" {
			size = "∞"
		}
		box := "mailbox " + r.whole("mailbox_len") + "/" + size
		if r["full"] == true {
			box += " FULL"
			if r.has("full_seconds") {
				box += " for " + span(r.time("full"))
			}
		} else if peak := r.number("mailbox_peak"); peak > r.number("mailbox_len") && peak > 1 {
			box += " peak " + r.whole("mailbox_peak")
		}
		if r["closed"] == true {
			box += " closed"
		}
		add("%s", box)
		if r.has("senders_waiting") {
			add("%s waiting to send", r.whole("senders_waiting"))
		}
		if r.has("oldest_at_least_seconds") {
			add("oldest >= %s", ago(r.time("oldest_at_least")))
		}
		if r.has("handled_per_second") {
			add("%s/s", r.whole("handled_per_second"))
		}
		for _, key := range []string{"handled", "dropped"} {
			if r.has(key) {
				add("%s %s", key, r.whole(key))
			}
		}
	}
	switch n := r.whole("callers_waiting"); n {
	case "0":
	case "1":
		add("1 caller waiting")
	default:
		add("%s callers waiting", n)
	}
	if r.has("joiners_waiting") {
		add("%s waiting to join", r.whole("joiners_waiting"))
	}
	if r.has("busy_ratio") {
		add("busy %.0f%%", 100*r.number("busy_ratio"))
	}
	if r.has("handler_max_seconds") {
		add("calls p50 %s p99 %s", twoDigits(r.time("handler_p50")), twoDigits(r.time("handler_p99")))
	}
	if r.has("mailbox_wait_max_seconds") {
		add("waits p50 %s p99 %s", twoDigits(r.time("mailbox_wait_p50")), twoDigits(r.time("mailbox_wait_p99")))
	}
	if r.has("last_error") {
		add("last: %s (%s ago)", r.text("last_error"), ago(r.time("last_ago")))
	}
	if r.has("killed_ago_seconds") {
		add("killed %s ago", ago(r.time("killed_ago")))
	}
	var labels []string
	for key := range r {
		if name, ok := strings.CutPrefix(key, "label_"); ok {
			labels = append(labels, name+"="+r.text(key))
		}
	}
	slices.Sort(labels)
	return append(cells, labels...)
}

// span returns a time of less than an hour, to a tenth of a second if it is below a minute.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.0fms", math.Ceil(float64(d)/1e6))
	case d < time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	}
	return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
}

// ago returns the time since something, in whole seconds from ten on.
func ago(d time.Duration) string {
	if d >= 10*time.Second {
		d = d.Truncate(time.Second)
	}
	return span(d)
}

func twoDigits(d time.Duration) string {
	digits := math.Pow(10, math.Floor(math.Log10(float64(max(1, d))))-1)
	if digits < 1 {
		digits = 1
	}
	return time.Duration(math.Round(float64(d)/digits) * digits).String()
}

// requireSameRows checks that a text has the rows of an entry of the log, each with all that is in
// the entry, and nothing else.
func requireSameRows(tb testing.TB, text string, entry []byte) {
	tb.Helper()
	var o struct {
		Tree   []jsonRow
		Folded []struct {
			Under string
			Count int
		}
	}
	require.NoError(tb, json.Unmarshal(entry, &o), "%s", entry)
	rows, folds := textRows(tb, text)
	require.Len(tb, rows, len(o.Tree), "%s", text)
	for _, r := range o.Tree {
		i := slices.IndexFunc(rows, func(t textRow) bool { return t.path == r.text("path") })
		require.GreaterOrEqual(tb, i, 0, "%s is not in the text:\n%s", r.text("path"), text)
		have := rows[i].cells
		if r.has("handler_calls") && !r.has("handler_max_seconds") {
			// The entry has no times of 0, and does not say whether a call has returned.
			have = slices.DeleteFunc(slices.Clone(have), func(s string) bool { return s == "calls p50 0s p99 0s" })
		}
		require.Equal(tb, r.cells(), have, "%v", r)
	}
	require.Len(tb, folds, len(o.Folded))
	for i, f := range o.Folded {
		require.Regexp(tb, fmt.Sprintf(`^\(\+%d more under .*\b%s\b`, f.Count, f.Under[strings.LastIndexByte(f.Under, '/')+1:]), folds[i])
	}
}
