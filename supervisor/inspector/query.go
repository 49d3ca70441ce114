package inspector

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gotasklet/tasklet/internal/view"
)

// query has the keys that a query may have.
type query []string

// queries are those of the endpoints.
var queries = map[string]query{
	"tree":        {"under", "q", "state", "rows", "skip", "format", "width"},
	"tasklets":    {"sort", "q", "state", "rows"},
	"tasklet":     {},
	"stuck":       {},
	"events":      {"under", "kind", "level", "rows"},
	"event":       {},
	"deadletters": {},
	"system":      {"q"},
	"cluster":     {"q"},
}

// check returns what is wrong with the keys of a query. A key that is not known is an error,
// because it is probably a known one with a mistake in its name.
func (k query) check(q url.Values) *problem {
	for key, all := range q {
		switch {
		case !slices.Contains(k, key) && len(k) == 0:
			return problemf(http.StatusBadRequest, "this endpoint takes no query")
		case !slices.Contains(k, key):
			return problemf(http.StatusBadRequest, "the query may have %s only", strings.Join(k, ", "))
		case len(all) > 1:
			return problemf(http.StatusBadRequest, "%s is given twice", key)
		}
	}
	if s := q.Get("state"); s != "" && !slices.Contains(states, s) {
		return problemf(http.StatusBadRequest, "state must be one of %s", strings.Join(states, ", "))
	}
	return nil
}

// states are the states and facts by which rows can be selected; see inState.
var states = []string{
	"attention", "full", "dropping", "restarted", "killed",
	"stalled", "restarting", "stopping", "starting", "running", "ready", "parked", "sleeping", "idle", "stopped", "finished",
}

// whole returns the number in a query, between least and most, or def if it is not there.
func whole(q url.Values, key string, def, least, most int) (int, *problem) {
	s := q.Get(key)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, problemf(http.StatusBadRequest, "%s must be a number from %d to %d", key, least, most)
	}
	return n, nil
}

// matcher returns a function that selects the places with the text of q in their name, and the
// state of it. It returns nil if all are selected.
func matcher(m view.Survey, q url.Values) func(i int) bool {
	part, state := strings.ToLower(q.Get("q")), q.Get("state")
	if part == "" && state == "" {
		return nil
	}
	return func(i int) bool {
		if state != "" && !inState(m.Place(i), state) {
			return false
		}
		return part == "" || strings.Contains(strings.ToLower(m.Name(i)), part)
	}
}

// inState reports whether a place is in a state, or has the fact that state names.
func inState(p view.Place, state string) bool {
	switch state {
	case "full":
		return p.Full
	case "dropping":
		return p.Dropping
	case "restarted":
		return p.Restarted
	case "killed":
		return p.Killed
	case "attention":
		return p.Noise > quietNoise
	}
	return p.State == state
}
