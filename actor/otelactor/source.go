package otelactor

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/internal/view"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// source is a system whose numbers are reported. All that is observed of it is first added up, so
// that each attribute set is observed once.
type source struct {
	m    *Metrics
	sys  *actor.System
	name string // clean

	taken int  // the number of kinds without other; m.mu protects it
	gone  bool // it was taken out; m.mu protects it

	// mu protects the following. It is held while a reader collects.
	mu       sync.Mutex
	rates    tree.Rates
	kinds    map[string]*kind // by clean name
	other    *kind
	kindsOut bool // a kind had no room, so no further one gets any
	now      stats.System
	at       time.Time       // real time, when the survey was made; zero if there is none
	cost     time.Duration   // that the survey has taken
	named    map[string]bool // the events that have numbers of their own
	sets     map[attribute.KeyValue]metric.MeasurementOption

	clustered bool // it has had a node of a cluster

	all metric.MeasurementOption // without further attributes

	beforeTell func() // for a test; nil otherwise
}

// share is how often a survey is as old as it was long before another one is made. So surveys of a
// very large system take a tenth of one processor at most, however often readers collect.
const share = 10

// kind has the sums of the tasklets of one kind.
type kind struct {
	set    metric.MeasurementOption
	states [len(stateNames)]metric.MeasurementOption // nil for a state that was never seen
	les    [len(limits) + 1]metric.MeasurementOption // nil as long as nothing is measured

	// Of the last survey.
	count                         [len(stateNames)]int64
	depth, deepest, full, senders int64
	oldest                        time.Duration
	mailboxes                     bool // there was one, now or before

	// Of the last reading of the statistics.
	measured       bool
	calls          uint64
	handler, waits times
}

// times has the sums of a stats.Times.
type times struct {
	sum   time.Duration
	below [len(limits) + 1]uint64 // the times that were less than each limit; all for the last
}

// add adds t.
func (s *times) add(t *stats.Times) {
	s.sum += t.Sum
	i, sum := 0, uint64(0)
	for limit, count := range t.Buckets() {
		for i < len(limits) && limits[i] < limit {
			i++ // the limit of an earlier bucket
		}
		sum += count
		if i < len(limits) && limit == limits[i] {
			s.below[i] += sum
			i++
		}
	}
	s.below[len(limits)] += sum
}

// stateNames are the states of rows.
var stateNames = func() (names [11]string) {
	for i := range names {
		names[i] = tree.State(i).String()
	}
	return names
}()

var stateIndex = func() map[string]int {
	index := make(map[string]int)
	for i, name := range stateNames {
		index[name] = i
	}
	return index
}()

// limits are the values of le, in ns: 1.024 µs to 17 s, each twice the one before. All of them are
// limits of package stats, so no call is counted in a wrong bucket.
var limits = func() (all [25]time.Duration) {
	for i := range all {
		all[i] = 1 << (10 + i)
	}
	return all
}()

// le returns the value of the attribute le for the i-th limit.
func le(i int) string {
	if i == len(limits) {
		return "+Inf"
	}
	return strconv.FormatFloat(limits[i].Seconds(), 'g', -1, 64)
}

// maxName is the length of the values of attributes, in bytes.
const maxName = 100

// clean returns the name of a kind or of a system as the value of an attribute.
func clean(name string) string {
	if name == "" {
		return "unnamed"
	}
	return text.Cut(text.Line(text.Cut(name, maxName)), maxName)
}

func newSource(m *Metrics, sys *actor.System) *source {
	s := &source{
		m: m, sys: sys, name: clean(sys.Name()),
		kinds: make(map[string]*kind), named: make(map[string]bool),
		sets: make(map[attribute.KeyValue]metric.MeasurementOption),
	}
	s.all = s.set()
	s.other = s.newKind(other)
	s.kinds[other] = s.other
	return s
}

// set returns the option for the attributes of s and more.
func (s *source) set(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(more, attribute.String("system", s.name))...))
}

// one is set for one more attribute, made once for each. The number of different ones is bounded.
func (s *source) one(key, value string) metric.MeasurementOption {
	kv := attribute.String(key, value)
	o, ok := s.sets[kv]
	if !ok {
		o = s.set(kv)
		s.sets[kv] = o
	}
	return o
}

func (s *source) newKind(name string) *kind {
	return &kind{set: s.set(attribute.String("kind", name))}
}

// kindOf returns the sums for a kind, which are those of "other" if there is no room for it. Once
// that has happened no other kind gets room, so that no number passes from "other" to another name.
func (s *source) kindOf(name string) *kind {
	name = clean(name)
	k := s.kinds[name]
	if k != nil {
		return k
	}
	if s.kindsOut = s.kindsOut || !s.takeKind(); s.kindsOut {
		return s.other
	}
	k = s.newKind(name)
	s.kinds[name] = k
	return k
}

// takeKind takes room for a kind, and reports whether there was any.
func (s *source) takeKind() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.gone || s.m.free == 0 {
		return false
	}
	s.m.free--
	s.taken++
	return true
}

// read reads the numbers of s.
func (s *source) read() {
	s.now = stats.Read(s.sys)
	if s.at.IsZero() || s.sys.Virtual() || time.Since(s.at) >= share*s.cost {
		s.survey()
	}
	for _, k := range s.kinds {
		k.measured, k.calls, k.handler, k.waits = false, 0, times{}, times{}
	}
	for _, n := range s.now.Kinds {
		k := s.kindOf(n.Name)
		k.add(&n)
	}
}

// add adds the numbers of a kind of package stats.
func (k *kind) add(n *stats.Kind) {
	k.measured = true
	k.calls += n.Calls
	k.handler.add(&n.Handler)
	k.waits.add(&n.Mailbox)
}

// survey adds up the places of the tree.
func (s *source) survey() {
	begin := time.Now()
	w := view.Look(s.sys.Root(), &s.rates)
	for _, k := range s.kinds {
		k.count = [len(stateNames)]int64{}
		k.depth, k.deepest, k.full, k.senders, k.oldest = 0, 0, 0, 0, 0
	}
	for i := range w.Len() {
		p := w.Place(i)
		if p.Daemons {
			continue
		}
		k := s.kindOf(w.Kind(i))
		k.count[stateIndex[p.State]]++
		if m := w.Mailbox(i); m != nil {
			k.mailboxes = true
			k.depth += int64(m.Len)
			k.deepest = max(k.deepest, int64(m.Len))
			k.senders += int64(m.Waiting)
			if p.Full {
				k.full++
			}
			k.oldest = max(k.oldest, w.Oldest(i))
		}
	}
	s.at = time.Now()
	s.cost = s.at.Sub(begin)
}

// tell observes what was read.
func (s *source) tell(o metric.Observer) {
	if s.beforeTell != nil {
		s.beforeTell()
	}
	t := teller{o, &s.m.in}
	for name, k := range s.kinds {
		s.tellKind(t, name, k)
	}
	t.count(started, s.now.Started, s.all)
	for r := reason.Normal; r <= reason.Panic; r++ {
		t.count(ended, s.now.Ended[r], s.one("reason", r.String()))
	}
	for i, v := range reflect.ValueOf(s.now.Lost).Fields() {
		t.count(lost, v.Uint(), s.one("reason", snake(i.Name)))
	}
	t.count(callTimeouts, s.now.Events[event.CallTimeout], s.all)
	t.count(stalls, s.now.Events[event.Stall], s.all)
	s.tellEvents(t)
	s.tellSchedulers(t)
	t.float(uptime, s.now.Up.Seconds(), s.all)
	t.float(surveyTime, s.cost.Seconds(), s.all)
	s.tellCluster(t)
}

// tellKind observes the numbers of the tasklets of one kind.
func (s *source) tellKind(t teller, name string, k *kind) {
	for i, n := range k.count {
		if n > 0 && k.states[i] == nil {
			k.states[i] = s.set(attribute.String("kind", name), attribute.String("state", stateNames[i]))
		}
		if k.states[i] != nil {
			t.int(tasklets, n, k.states[i])
		}
	}
	if k.mailboxes {
		t.int(mailboxDepth, k.depth, k.set)
		t.int(mailboxDeepest, k.deepest, k.set)
		t.int(mailboxFull, k.full, k.set)
		t.int(mailboxSenders, k.senders, k.set)
		t.float(mailboxOldest, k.oldest.Seconds(), k.set)
	}
	if !k.measured {
		return
	}
	t.count(handlerCalls, k.calls, k.set)
	t.float(handlerTime, k.handler.sum.Seconds(), k.set)
	t.count(mailboxWaits, k.waits.below[len(limits)], k.set)
	t.float(mailboxTime, k.waits.sum.Seconds(), k.set)
	for i := range k.les {
		if k.les[i] == nil {
			k.les[i] = s.set(attribute.String("kind", name), attribute.String("le", le(i)))
		}
		t.count(handlerBucket, k.handler.below[i], k.les[i])
		t.count(mailboxBucket, k.waits.below[i], k.les[i])
	}
}

// tellEvents observes the numbers of events.
func (s *source) tellEvents(t teller) {
	sums := make(map[string]uint64)
	var restarted, gaveUp uint64 // package supervisor has these kinds
	for i := range 256 {
		n := s.now.Events[event.Kind(i)]
		if n == 0 {
			continue
		}
		name := clean(event.Kind(i).String())
		switch name {
		case "restart":
			restarted = n
		case "give_up":
			gaveUp = n
		}
		if !s.named[name] {
			if len(s.named) < maxEach {
				s.named[name] = true
			} else {
				name = other
			}
		}
		sums[name] += n // two kinds without a name have the same
	}
	for name, n := range sums {
		t.count(events, n, s.one("event", name))
	}
	t.count(restarts, restarted, s.all)
	t.count(giveUps, gaveUp, s.all)
}

// tellSchedulers observes the numbers of the schedulers.
func (s *source) tellSchedulers(t teller) {
	measured := false
	for _, h := range s.now.Schedulers {
		measured = measured || h.Busy > 0
	}
	var rest stats.Scheduler
	tell := func(name string, h stats.Scheduler) {
		set := s.one("scheduler", name)
		t.int(schedulerReady, int64(h.Ready), set)
		if measured {
			t.float(schedulerBusy, h.Busy.Seconds(), set)
		}
	}
	for i, h := range s.now.Schedulers {
		if i < maxEach {
			tell(strconv.Itoa(i), h)
			continue
		}
		rest.Ready += h.Ready
		rest.Busy += h.Busy
	}
	if len(s.now.Schedulers) > maxEach {
		tell(other, rest)
	}
}

// snake returns the name of a field in snake case: in_hand for InHand.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// teller observes numbers of instruments.
type teller struct {
	o  metric.Observer
	in *made
}

func (t teller) int(i int, n int64, set metric.MeasurementOption) {
	t.o.ObserveInt64(t.in.ints[i], n, set)
}

func (t teller) count(i int, n uint64, set metric.MeasurementOption) { t.int(i, int64(n), set) }

func (t teller) float(i int, v float64, set metric.MeasurementOption) {
	t.o.ObserveFloat64(t.in.floats[i], v, set)
}
