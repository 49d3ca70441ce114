package actortest

import (
	"fmt"
	"path"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// An Option changes what Run, Explore and Golden do. Those that make no sense for one of them are
// ignored there, and say so.
type Option struct{ set func(*options) }

// options are all of them together.
type options struct {
	allowed   []allowance
	limit     time.Duration // of real time for one run; 0: none
	record    *Trace
	configure []func(*actor.Config)
	faults    [faultKinds]bool
	victims   func(*actor.Tasklet) bool
	first     uint64 // seed of Explore
	// of Golden: takes all events, as lines too; none of them is a problem
	told func(actor.Event, string)
}

// allowance is one Allow.
type allowance struct {
	kind  actor.EventKind
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

// Allow says that events of this kind are expected and do not fail the test: at tasklets whose path
// matches one of the patterns (as in path.Match: "/test/worker-*"), or everywhere if there are
// none. It is for the kinds that would: EventDeadLetter, EventDeadlock, EventStall,
// EventStopTimeout, EventLeak, and EventExit and EventFailure for panics. EventLeak without a
// pattern is for goroutines that are left, too.
func Allow(kind actor.EventKind, paths ...string) Option {
	for _, p := range paths {
		if _, err := path.Match(p, ""); err != nil {
			misuse("Allow with the pattern %q: %v", p, err)
		}
	}
	return Option{func(o *options) { o.allowed = append(o.allowed, allowance{kind, paths}) }}
}

func (o *options) allows(e actor.Event) bool {
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

// Limit is how long one run may take, in real time: 30 s without this option; 0 or less: as long as
// it likes. A run that takes longer fails the test, with the tree of those that it was about, and
// is stopped.
func Limit(d time.Duration) Option {
	return Option{func(o *options) { o.limit = d }}
}

// Record lets tr have the events of the run, to look at afterwards; of the last run, with Explore.
func Record(tr *Trace) Option {
	if tr == nil {
		misuse("Record with a nil Trace")
	}
	return Option{func(o *options) { o.record = tr }}
}

// Configure lets f change the configuration of the system, which has the name "test", a virtual
// clock, a seed, and a logger that goes to the test's log and fails the test at level fatal, as one
// that takes no entries does too. An OnEvent that f puts there is called besides this package's
// own. Seed and Simulation are set by this package, and more than one scheduler is misuse: such a
// run could not be repeated.
func Configure(f func(*actor.Config)) Option {
	if f == nil {
		misuse("Configure with a nil function")
	}
	return Option{func(o *options) { o.configure = append(o.configure, f) }}
}

// Faults lets Explore make things go wrong, of these kinds; see [Fault]. Run ignores it.
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

// Victims says who may meet with a Kill, a HandlerPanic, a FullMailbox or a LostWakeUp. Without it:
// every tasklet without children, but for supervisors, daemons and probes. The root and probes
// never do. f is called on the scheduler and may not block.
func Victims(f func(*actor.Tasklet) bool) Option {
	if f == nil {
		misuse("Victims with a nil function")
	}
	return Option{func(o *options) { o.victims = f }}
}

// FirstSeed is the seed with which Explore begins; 1 without this option, so that a test does the
// same every time. 0 is misuse.
func FirstSeed(seed uint64) Option {
	if seed == 0 {
		misuse("FirstSeed with 0, which means no seed")
	}
	return Option{func(o *options) { o.first = seed }}
}

func misuse(format string, args ...any) {
	panic("actortest: " + fmt.Sprintf(format, args...))
}
