package stats

import (
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/gauge"
)

// Times are the times of a number of calls, or the waits of a number of messages, to which what is
// said of calls applies too. The zero Times has none.
type Times struct {
	// Count is the number of calls that the times stand for. If only a part of the calls is
	// measured, it differs from the number of calls by less than 64 for each tasklet. For messages
	// it is less than 512.
	Count uint64
	Sum   time.Duration // of all of them
	Max   time.Duration // the longest that was measured

	counts [gauge.Buckets]uint64
}

// Mean returns the mean time, or 0 if there was no call.
func (t Times) Mean() time.Duration {
	if t.Count == 0 {
		return 0
	}
	return time.Duration(float64(t.Sum) / float64(t.Count))
}

// Quantile returns a time that the fraction q of the calls did not exceed, such as 0.99. It is not
// less than the exact time, and at most half as long again. A time of less than 64 ns is 64 ns, and
// one of more than 18 minutes is Max, which no result exceeds. q is from 0 to 1, and other values
// count as the nearest of these. Quantile returns 0 if there was no call.
func (t Times) Quantile(q float64) time.Duration {
	if !(q > 0) {
		q = 0
	}
	rank := max(1, uint64(math.Ceil(min(q, 1)*float64(t.Count))))
	var n uint64
	for i, c := range t.counts {
		if n += c; n >= rank && c > 0 {
			return min(t.Max, time.Duration(gauge.Limit(i)))
		}
	}
	return t.Max
}

// Buckets returns an iterator over the histogram of the times: the upper limit of each bucket, and
// the number of calls in it. A time that is equal to the limit is in the next bucket. The limits
// grow and are always the same, from 64 ns up to 18 minutes, with a last one of math.MaxInt64 for
// everything above. The numbers add up to Count.
func (t Times) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, c := range t.counts {
			if !yield(time.Duration(gauge.Limit(i)), c) {
				return
			}
		}
	}
}

func timesOf(h *gauge.Histogram) Times {
	t := Times{Sum: time.Duration(h.Sum), Max: time.Duration(h.Max), counts: h.Counts}
	for _, c := range h.Counts {
		t.Count += c
	}
	return t
}

// Timing has the numbers of the handler and of the mailbox of one tasklet since its start. A
// restart makes a new tasklet, which begins with 0.
type Timing struct {
	Calls   uint64 // the number of calls that have begun
	Handler Times  // the times of the calls
	Mailbox Times  // the times that messages were in the mailbox before the tasklet took them
}

// Of returns the times of t. It returns false if nothing of t is measured: because the system was
// made without Config.Measure, or because t has no messages so far, and no handler to which
// Config.Around would apply. It keeps the numbers of a tasklet that has ended. Of may be called
// from any goroutine. It panics if t is nil.
func Of(t *actor.Tasklet) (Timing, bool) {
	if t == nil {
		misuse("Of with a nil *Tasklet")
	}
	m, w := gauge.MeterOf(t), gauge.WaitsOf(t)
	var n Timing
	if m != nil {
		var h gauge.Histogram
		n.Calls = m.Read(&h)
		n.Handler = timesOf(&h)
	}
	if w != nil {
		var h gauge.Histogram
		w.AddTo(&h)
		n.Mailbox = timesOf(&h)
	}
	return n, m != nil || w != nil
}

// System has the numbers of a system since its start.
type System struct {
	Up time.Duration // the time since the start, on the system's clock
	// Started is the number of tasklets that were started, without the root. A restart starts
	// another one.
	Started uint64
	// Ended has the number of tasklets that have ended in each way.
	Ended map[reason.Kind]uint64
	Lost  Lost
	// Events has the number of events of each kind, whether they were logged or not, without
	// event.Spawn and event.Exit, for which Started and Ended have the numbers. For example,
	// supervisor.EventRestart is the kind of restarts, and event.CallTimeout that of calls without
	// an answer in time. Kinds without an event are missing.
	Events map[event.Kind]uint64
	// Schedulers has the numbers of each scheduler, in their order.
	Schedulers []Scheduler
	// Kinds has the sums of the handlers and mailboxes by the kind of their tasklets, sorted by
	// name. It is empty without Config.Measure.
	Kinds []Kind
}

// Lost has numbers of messages that were not handled, by the reason.
type Lost struct {
	Dropped uint64 // dropped by a full mailbox
	Closed  uint64 // queued in a mailbox that nobody was to read any more
	Full    uint64 // messages of timers and watches, and dead letters, that found no room
	InHand  uint64 // in the hand of a tasklet that ended by a failure or a kill
	Between uint64 // on the way to another node, which is lost or has refused them
}

// Scheduler has the numbers of one scheduler.
type Scheduler struct {
	Tasklets int // the number of its tasklets
	Ready    int // the number of tasklets that wait for their turn, without the running one
	// Busy is the time since the start in which it had work. Between two looks, the growth of Busy
	// divided by that of Up is its load. It is 0 without Config.Measure, and with a virtual clock,
	// on which work takes no time.
	Busy time.Duration
}

// Kind has the sums of the handlers and mailboxes of all tasklets of one kind, also of those that
// have ended.
type Kind struct {
	// Name is the kind as in actor.Info. The first 64 kinds have sums of their own, and all others
	// share the sums with the name "other".
	Name    string
	Calls   uint64 // the number of calls; up to 64 of each running tasklet are not counted yet
	Handler Times  // the times of the calls
	Mailbox Times  // the times that messages were in the mailbox before they were taken
}

// Read returns the numbers of s. It may be called from any goroutine. It panics if s is nil.
func Read(s *actor.System) System {
	if s == nil {
		misuse("Read with a nil *System")
	}
	n := gauge.Of(s)
	sys := System{
		Up: n.Up, Started: n.Started,
		Ended:  make(map[reason.Kind]uint64, len(n.Ended)),
		Events: make(map[event.Kind]uint64),
		Lost: Lost{
			Dropped: n.Lost[gauge.LostDropped], Closed: n.Lost[gauge.LostClosed],
			Full: n.Lost[gauge.LostFull], InHand: n.Lost[gauge.LostInHand],
			Between: n.Lost[gauge.LostBetween],
		},
	}
	for k, v := range n.Ended {
		sys.Ended[reason.Kind(k)] = v
	}
	for i, v := range n.Events {
		if k := event.Kind(i); v > 0 && k != event.Spawn && k != event.Exit {
			sys.Events[k] = v
		}
	}
	for _, h := range n.Schedulers {
		sys.Schedulers = append(sys.Schedulers, Scheduler{h.Tasklets, h.Ready, max(0, h.Busy)})
	}
	for name, k := range n.Kinds {
		sys.Kinds = append(sys.Kinds, Kind{Name: name, Calls: k.Calls, Handler: timesOf(&k.Times), Mailbox: timesOf(&k.Waits)})
	}
	slices.SortFunc(sys.Kinds, func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
	return sys
}

func misuse(text string) { panic("stats: " + text) }
