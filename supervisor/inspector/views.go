package inspector

import (
	"bytes"
	"cmp"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/view"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// view returns the answer of the endpoint name, with the rest of its path and its query. Each
// endpoint always has the same lists.
func (h *handler) view(name, arg string, q url.Values) (*result, *problem) {
	known, ok := queries[name]
	if !ok || (arg != "") != (name == "tasklet" || name == "event") {
		return nil, problemf(http.StatusNotFound, "there is no such endpoint")
	}
	if bad := known.check(q); bad != nil {
		return nil, bad
	}
	switch name {
	case "tree":
		return h.treeView(q)
	case "tasklets":
		return h.taskletsView(q)
	case "tasklet":
		return h.taskletView(arg)
	case "stuck":
		return h.stuckView(), nil
	case "events":
		return h.eventsView(q)
	case "event":
		return h.eventView(arg)
	case "deadletters":
		return h.lettersView(), nil
	case "system":
		return h.systemView(q), nil
	case "cluster":
		return h.clusterView(q), nil
	}
	return nil, problemf(http.StatusNotFound, "there is no such endpoint")
}

// rowsOf returns the rows of places.
func rowsOf(m view.Survey, places []int) []row {
	rows := make([]row, len(places))
	for k, i := range places {
		rows[k] = rowOf(m, i)
	}
	return rows
}

// summary returns the fields that the log has once for each tree.
func summary(m view.Survey) map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	m.Summary(fields.Encoder(enc))
	return enc.Fields
}

func (h *handler) treeView(q url.Values) (*result, *problem) {
	limit, bad := whole(q, "rows", defaultRows, minRows, maxRows)
	if bad != nil {
		return nil, bad
	}
	skip, bad := whole(q, "skip", 0, 0, 1<<30)
	if bad != nil {
		return nil, bad
	}
	width, bad := whole(q, "width", 0, 0, 10_000)
	if bad != nil {
		return nil, bad
	}
	shared := h.look()
	defer shared.pays(time.Now())
	m := shared.Survey
	if path := q.Get("under"); path != "" {
		i := under(m, path)
		if i < 0 {
			return nil, problemf(http.StatusNotFound, "no tasklet has this path now")
		}
		m = m.Below(i)
	}
	match := matcher(m, q)
	all := match != nil || q.Get("under") != "" // what is asked for is not folded into one line
	s := m.Cut(view.Query{Limit: limit, Skip: skip, Match: match, All: all})
	switch q.Get("format") {
	case "text":
		var b bytes.Buffer
		_ = m.Write(&b, s, width) // a Buffer takes everything
		return &result{text: b.Bytes()}, nil
	case "", "json":
	default:
		return nil, problemf(http.StatusBadRequest, "format must be text or json")
	}
	r := &result{head: summary(m)}
	r.head["rows"] = m.Len()
	if m.Len() > 0 {
		r.head["below"] = m.Place(0).Children
	}
	r.add("tree", rowsOf(m, s.Places))
	var folds []row
	for _, f := range s.Folds {
		key := keyOf(m, f.Under)
		o := map[string]any{"under": fields.Name(m.Path(f.Under)), "row": key, "depth": m.Place(f.Under).Depth + 1, "count": f.Count}
		for _, p := range f.Parts {
			o[p.Word] = p.N
		}
		folds = append(folds, row{key, o})
	}
	r.add("folded", folds)
	var loud []row
	for _, i := range loudest(m, 10) {
		loud = append(loud, rowOf(m, i))
	}
	r.add("problems", loud)
	return r, nil
}

// loudest returns the places that need most attention, at most n, without those that may be as they
// should be, such as a main that joins its children.
func loudest(m view.Survey, n int) []int {
	return best(m, n, func(i int) float64 { return float64(m.Place(i).Noise) }, func(x float64) bool { return x > quietNoise })
}

// best returns the n places with the largest values, of those that keep selects. The first of equal
// ones counts.
func best(m view.Survey, n int, value func(i int) float64, keep func(x float64) bool) []int {
	type entry struct {
		i int
		x float64
	}
	var all []entry
	for i := range m.Len() {
		x := value(i)
		if !keep(x) || len(all) == 2*n && x <= all[n-1].x {
			continue
		}
		if all = append(all, entry{i, x}); len(all) > 2*n {
			slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.x, a.x) })
			all = all[:n]
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.x, a.x) })
	places := make([]int, min(n, len(all)))
	for k := range places {
		places[k] = all[k].i
	}
	return places
}

// loads are values by which the table of tasklets can be sorted, and orders are others.
var loads = map[string]func(l view.Load) float64{
	"rate":   func(l view.Load) float64 { return l.Rate },
	"busy":   func(l view.Load) float64 { return l.Busy },
	"oldest": func(l view.Load) float64 { return l.Oldest.Seconds() },
	"p99":    func(l view.Load) float64 { return l.P99.Seconds() },
}

var orders = map[string]func(p view.Place, g actor.Glance) float64{
	"attention": func(p view.Place, _ actor.Glance) float64 { return float64(p.Noise) },
	"restarts":  func(p view.Place, _ actor.Glance) float64 { return float64(p.Restarts) },
	"for":       func(_ view.Place, g actor.Glance) float64 { return g.For.Seconds() },
	"depth": func(_ view.Place, g actor.Glance) float64 {
		if g.Mailbox == nil {
			return -1
		}
		return float64(g.Mailbox.Len + g.Mailbox.Waiting)
	},
	"handled": func(_ view.Place, g actor.Glance) float64 {
		if g.Mailbox == nil {
			return -1
		}
		return float64(g.Mailbox.Handled)
	},
	"dropped": func(_ view.Place, g actor.Glance) float64 {
		if g.Mailbox == nil {
			return -1
		}
		return float64(g.Mailbox.Dropped)
	},
}

func (h *handler) taskletsView(q url.Values) (*result, *problem) {
	limit, bad := whole(q, "rows", defaultRows, 1, maxRows)
	if bad != nil {
		return nil, bad
	}
	sort := cmp.Or(q.Get("sort"), "attention")
	value, load := orders[sort], loads[sort]
	if value == nil && load == nil && sort != "name" {
		return nil, problemf(http.StatusBadRequest,
			"sort must be name, attention, restarts, for, depth, oldest, rate, busy, p99, handled or dropped")
	}
	m := h.look()
	defer m.pays(time.Now())
	match := matcher(m, q)
	found := 0
	has := func(i int) bool {
		p := m.Place(i)
		ok := !p.Daemons && (match == nil || match(i))
		if ok {
			found++
		}
		return ok
	}
	var places []int
	if sort == "name" {
		places = first(m, limit, has)
	} else {
		const no = -1e300
		places = best(m, limit, func(i int) float64 {
			if !has(i) {
				return no
			}
			if load != nil {
				return load(m.Load(i))
			}
			p := m.Place(i)
			var g actor.Glance
			if p.Task != nil && sort != "attention" && sort != "restarts" {
				g = p.Task.Glance()
			}
			return value(p, g)
		}, func(x float64) bool { return x > no })
	}
	r := &result{head: map[string]any{"found": found, "sort": sort, "system": fields.Name(h.sys.Name())}}
	r.add("rows", rowsOf(m, places))
	return r, nil
}

// first returns the n places whose names come first, of those that has selects.
func first(m view.Survey, n int, has func(i int) bool) []int {
	type entry struct {
		i    int
		name string
	}
	var all []entry
	cut := func() {
		slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		all = all[:min(n, len(all))]
	}
	for i := range m.Len() {
		if has(i) {
			if all = append(all, entry{i, m.Name(i)}); len(all) > 2*n+1000 {
				cut()
			}
		}
	}
	cut()
	places := make([]int, len(all))
	for k := range all {
		places[k] = all[k].i
	}
	return places
}

// maxRelated is the largest number of children, of waiting tasklets and of events that the page of
// one tasklet shows.
const maxRelated = 100

func (h *handler) taskletView(id string) (*result, *problem) {
	m, i, bad := h.place(id)
	if bad != nil {
		return nil, bad
	}
	defer m.pays(time.Now())
	p := m.Place(i)
	t := p.Task
	d := vitals.DetailsOf(t)
	r := &result{head: rowOf(m, i).fields}
	r.head["system"] = fields.Name(h.sys.Name())
	set := func(key string, v any, if_ bool) {
		if if_ {
			r.head[key] = v
		}
	}
	if parent := t.Parent(); parent != nil {
		r.head["parent"] = briefOf(parent)
	}
	info := t.Info()
	if info.Glance.On != nil && info.Wait != "" {
		r.head["waits_for"] = briefOf(info.Glance.On)
	}
	labels := map[string]string{}
	for k, v := range info.Labels {
		labels[fields.Name(k)] = fields.Name(v)
	}
	if info.Message != nil {
		r.head["message_type"] = fields.Name(info.Message.String())
	}
	set("labels", labels, len(labels) > 0)
	set("watchers", d.Watchers, len(d.Watchers) > 0)
	set("watched", d.Watched, d.Watched > 0)
	options := map[string]any{"on_failure": d.OnFailure, "shutdown": shutdownText(d.Shutdown)}
	if d.Daemon {
		options["daemon"] = true
	}
	if d.Overflow != "" {
		options["overflow"] = d.Overflow
	}
	r.head["options"] = options
	r.head["actions"] = h.actions
	if hand := t.InHand(); hand != nil {
		r.head["in_hand"] = fields.Name(hand.String())
	}
	if state, fault := stateOf(t); fault != "" {
		r.head["state_fault"] = fault
	} else if state != nil {
		r.head["published"] = state
	}

	var children []int
	for k := i + 1; k < m.Len() && m.Place(k).Depth > p.Depth && len(children) < maxRelated; k++ {
		if m.Place(k).Parent == i {
			children = append(children, k)
		}
	}
	r.add("below", rowsOf(m, children))
	var waiters []row
	waiting := 0
	for k, on := range m.Waits() {
		if on != t {
			continue
		}
		if waiting++; len(waiters) < maxRelated {
			waiters = append(waiters, rowOf(m, k))
		}
	}
	r.head["waiting"] = waiting
	r.add("waiters", waiters)
	var ends []row
	all, _, _ := h.rec.last()
	for _, e := range all {
		if e.event.Path == info.Path && len(ends) < maxRelated {
			ends = append(ends, e.object())
		}
	}
	r.add("events", ends)
	return r, nil
}

func shutdownText(d time.Duration) string {
	switch d {
	case actor.Infinity:
		return "infinity"
	case actor.BrutalKill:
		return "brutal kill"
	}
	return d.String()
}

// waitingNoise is the attention that a tasklet needs which has waited for another one for long, and
// quietNoise that of one which has waited for something else.
const (
	waitingNoise = 40
	quietNoise   = 20
)

func (h *handler) eventsView(q url.Values) (*result, *problem) {
	limit, bad := whole(q, "rows", maxEvents, 1, maxEvents)
	if bad != nil {
		return nil, bad
	}
	eq := eventQuery{under: q.Get("under"), level: zapcore.DebugLevel}
	if s := q.Get("kind"); s != "" {
		eq.kinds = strings.Split(s, ",")
	}
	if s := q.Get("level"); s != "" {
		if err := eq.level.UnmarshalText([]byte(s)); err != nil {
			return nil, problemf(http.StatusBadRequest, "level must be debug, info, warn or error")
		}
	}
	all, total, dropped := h.rec.last()
	kinds := map[string]int{}
	var rows []row
	for _, e := range all {
		kinds[e.event.Kind.String()]++
		if eq.has(e) && len(rows) < limit {
			rows = append(rows, e.object())
		}
	}
	r := &result{head: map[string]any{
		"total": total, "dropped": dropped, "kept": len(all), "kinds": kinds,
		"since_ms": h.rec.since.UnixMilli(), "system": fields.Name(h.sys.Name()),
	}}
	r.add("events", rows)
	return r, nil
}

// eventView returns one event, with its stack.
func (h *handler) eventView(arg string) (*result, *problem) {
	seq, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return nil, problemf(http.StatusBadRequest, "not the number of an event")
	}
	all, _, _ := h.rec.last()
	for _, e := range all {
		if e.event.Seq != seq {
			continue
		}
		head := map[string]any{}
		for k, v := range e.object().fields {
			head[k] = v
		}
		if e.event.Stack != nil {
			head["stack"] = cutStack(e.event.Stack.String())
		}
		return &result{head: head}, nil
	}
	return nil, problemf(http.StatusNotFound, "the event is not among those that are kept")
}

func (h *handler) lettersView() *result {
	rows, sum, other := h.rec.counted()
	r := &result{head: map[string]any{
		"total": sum, "other": other, "since_ms": h.rec.since.UnixMilli(), "system": fields.Name(h.sys.Name()),
	}}
	r.add("letters", rows)
	return r
}

var phases = [...]string{
	vitals.Running: "running", vitals.Draining: "draining", vitals.Stopping: "stopping", vitals.Stopped: "stopped",
}

// systemView returns what is not of one tasklet: schedulers, names and groups.
func (h *handler) systemView(q url.Values) *result {
	m := h.look()
	defer m.pays(time.Now())
	r := &result{head: summary(m)}
	r.head["phase"] = phases[vitals.PhaseOf(h.sys)]
	r.head["actions"] = h.actions
	if h.level != nil {
		r.head["log_level"] = h.level.Level().String()
	}

	type load struct{ tasklets, ready, io int }
	all := make([]load, h.sys.Schedulers())
	for i := range m.Len() {
		p := m.Place(i)
		if p.Scheduler < 0 || p.Scheduler >= len(all) {
			continue
		}
		l := &all[p.Scheduler]
		l.tasklets++
		switch p.State {
		case "running", "ready", "stalled":
			l.ready++
		case "parked":
			if p.Task.Glance().Wait == "i/o" {
				l.io++
			}
		}
	}
	var schedulers []row
	for n, l := range all {
		b := vitals.BusyOf(h.sys, n)
		f := map[string]any{"scheduler": n, "tasklets": l.tasklets, "ready": l.ready, "in_io": l.io, "busy": b.Word != 0}
		if m.load != nil {
			f["load"] = math.Round(m.load[n]*1000) / 1000
		}
		if b.Stalled > 0 {
			f["stalled_seconds"] = b.Stalled.Seconds()
		}
		schedulers = append(schedulers, row{strconv.Itoa(n), f})
	}
	r.add("schedulers", schedulers)

	part := strings.ToLower(q.Get("q"))
	var names, groups []row
	n := 0
	if vitals.Names != nil {
		vitals.Names(h.sys, func(name, path string, message reflect.Type) bool {
			if n++; strings.Contains(strings.ToLower(name), part) {
				names = append(names, row{name, map[string]any{"name": fields.Name(name), "path": fields.Name(path), "message": fields.Name(message.String())}})
			}
			return true
		})
		vitals.Groups(h.sys, func(name string, message reflect.Type, members int, paths []string) bool {
			for i := range paths {
				paths[i] = fields.Name(paths[i])
			}
			if strings.Contains(strings.ToLower(name), part) {
				groups = append(groups, row{name, map[string]any{
					"name": fields.Name(name), "message": fields.Name(message.String()), "members": members, "paths": paths,
				}})
			}
			return true
		})
	}
	byKey := func(a, b row) int { return strings.Compare(a.key, b.key) }
	slices.SortFunc(names, byKey)
	slices.SortFunc(groups, byKey)
	r.head["names"], r.head["groups"] = n, len(groups)
	r.add("name_list", names[:min(len(names), defaultRows)])
	r.add("group_list", groups[:min(len(groups), defaultRows)])
	return r
}
