package actortest

import (
	"fmt"
	"path"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
)

// An Option changes what [Run], [Explore] and [Golden] do. The comment of an option says where it
// is ignored. The zero Option is invalid.
type Option struct{ set func(*options) }

// options holds all options of a call.
type options struct {
	allowed   []allowance
	limit     time.Duration // of real time for one run; 0 means none
	record    *Trace
	configure []func(*actor.Config)
	faults    [faultKinds]bool
	victims   func(*actor.Tasklet) bool
	first     uint64 // seed of Explore
	// told is set by Golden. It gets all events, also as text, and none of them is a problem.
	told func(actor.EventRecord, string)
}

// allowance is one [Allow].
type allowance struct {
	kind  event.Kind
	paths []string
}

func newOptions(opts []Option) *options {
	o := &options{limit: 30 * time.Second, victims: defaultVictims, first: 1}
	for _, opt := range opts {
		if opt.set == nil {
			misuse("a zero Option")
		}
		opt.set(o)
	}
	return o
}

// Allow permits events of this kind, so that they do not fail the test. The patterns are those of
// path.Match ("/test/worker-*"), and the events of tasklets whose path matches one of them are
// permitted; without patterns, those of all tasklets. The kinds that fail a test are
// event.DeadLetter, event.Deadlock, event.Stall, event.StopTimeout and event.Leak, and for panics
// event.Exit and event.Failure. event.Leak without a pattern also permits goroutines that are left.
// Allow panics if a pattern is malformed.
func Allow(kind event.Kind, paths ...string) Option {
	for _, p := range paths {
		if _, err := path.Match(p, ""); err != nil {
			misuse("Allow with the pattern %q: %v", p, err)
		}
	}
	return Option{func(o *options) { o.allowed = append(o.allowed, allowance{kind, paths}) }}
}

func (o *options) allows(e actor.EventRecord) bool {
	for _, a := range o.allowed {
		if a.kind != e.Kind {
			continue
		}
		if len(a.paths) == 0 {
			return true
		}
		for _, p := range a.paths {
			if ok, _ := path.Match(p, e.Path); ok {
				return true
			}
		}
	}
	return false
}

// Limit sets the longest time that one run may take, in real time. The default is 30 s; 0 or less
// means no limit. A run that takes longer is stopped, and fails the test with its tree of tasklets.
func Limit(d time.Duration) Option {
	return Option{func(o *options) { o.limit = d }}
}

// Record stores the events of the run in tr, replacing what tr holds. With Explore, tr has the
// events of the last run. Record panics if tr is nil.
func Record(tr *Trace) Option {
	if tr == nil {
		misuse("Record with a nil Trace")
	}
	return Option{func(o *options) { o.record = tr }}
}

// Configure calls f to change the configuration of the system before a run. The configuration has
// the name "test", a virtual clock, a seed, and a logger that writes to the log of the test and
// fails the test at level fatal. A logger that takes no entries also fails the test at that level.
// An OnEvent that f sets is called in addition to this package's own. Seed and Simulation are
// overwritten. More than one scheduler is misuse, because such a run could not be repeated.
// Configure panics if f is nil.
func Configure(f func(*actor.Config)) Option {
	if f == nil {
		misuse("Configure with a nil function")
	}
	return Option{func(o *options) { o.configure = append(o.configure, f) }}
}

// Faults makes Explore inject faults of these kinds; see [Fault]. Run and Golden ignore it. Faults
// panics for an unknown kind.
func Faults(kinds ...Fault) Option {
	for _, k := range kinds {
		if k >= faultKinds {
			misuse("Faults with the unknown kind %d", k)
		}
	}
	return Option{func(o *options) {
		for _, k := range kinds {
			o.faults[k] = true
		}
	}}
}

// Victims sets the tasklets that a Kill, a HandlerPanic, a FullMailbox or a LostWakeUp may affect:
// those for which f returns true. The default is every tasklet without children, except
// supervisors, daemons and probes. Probes are never affected, and the root only by a LostWakeUp. f
// is called on the scheduler and must not block. Victims panics if f is nil.
func Victims(f func(*actor.Tasklet) bool) Option {
	if f == nil {
		misuse("Victims with a nil function")
	}
	return Option{func(o *options) { o.victims = f }}
}

// FirstSeed sets the first seed of Explore. The default is 1, so that a test does the same every
// time. Run and Golden ignore it. FirstSeed panics if seed is 0.
func FirstSeed(seed uint64) Option {
	if seed == 0 {
		misuse("FirstSeed with 0, which means no seed")
	}
	return Option{func(o *options) { o.first = seed }}
}

func misuse(format string, args ...any) {
	panic("actortest: " + fmt.Sprintf(format, args...))
}
