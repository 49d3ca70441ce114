package actor

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// An Option sets how a tasklet is started, or how a ref is made. A call panics if it cannot use one
// of its options, and names the option.
type Option struct {
	set   optionSet
	name  string
	n     int64
	start func(*Tasklet) error
	hook  Hook
	is    any // a func(M) bool
}

// optionSet is a set of options, one bit each.
type optionSet uint32

const (
	optName optionSet = 1 << iota
	optDaemon
	optMailboxLen
	optOverflow
	optImmediate
	optShutdown
	optResume
	optStop
	optEscalate
	optOnStart
	optOnScheduler
	optRetry
	optStopTogether
	optSpread
	optIdle
	optAround
	optUrgent

	anyBody = optName | optDaemon | optShutdown | optStop | optEscalate | optOnStart | optOnScheduler |
		optStopTogether | optSpread
	repeatOptions = optResume | optAround // for a body that is called repeatedly
	boxOptions    = optMailboxLen | optOverflow
	refOptions    = optionSet(0) // for a body whose ref already exists
	// for a body that handles one message after the other
	messageOptions = optRetry | optIdle | optUrgent
)

var optionNames = map[optionSet]string{
	optName: "Name", optDaemon: "Daemon", optMailboxLen: "MailboxLen", optOverflow: "Overflow", optImmediate: "Immediate",
	optShutdown: "Shutdown", optResume: "OnFailure(Resume)", optStop: "OnFailure(End)", optEscalate: "OnFailure(Escalate)",
	optOnStart: "OnStart", optOnScheduler: "OnScheduler",
	optRetry: "Retry", optStopTogether: "StopTogether", optSpread: "Spread",
	optIdle: "IdleAfter", optAround: "Around", optUrgent: "Urgent",
}

// Name sets the name of the tasklet, or of the ref and so of the tasklets that read it. Names need
// not be unique. Name panics if name is empty or has a slash. Characters that cannot be printed,
// such as a line break, are escaped as in a Go string (`\n`).
func Name(name string) Option {
	return Option{set: optName, name: checkName("Name", name)}
}

// Daemon starts the tasklet as one of the system instead of one of the starting tasklet. It
// survives the tasklet that starts it, has no parent, and is stopped last, after the root.
func Daemon() Option { return Option{set: optDaemon} }

// MailboxLen sets the capacity of the mailbox, from 1 to mailbox.MaxCap messages. The default is
// mailbox.DefaultCap. MailboxLen panics for any other n.
func MailboxLen(n int) Option {
	if n < 1 || n > mailbox.MaxCap {
		misuse("MailboxLen(%d): the capacity must be 1 to %d", n, mailbox.MaxCap)
	}
	return Option{set: optMailboxLen, n: int64(n)}
}

// Overflow sets the policy of the mailbox, which determines what a send does when it is full. The
// default is mailbox.Block. Overflow panics if p is not a policy.
func Overflow(p mailbox.Policy) Option {
	if p > mailbox.Unbounded {
		misuse("Overflow(%d): not a policy", p)
	}
	return Option{set: optOverflow, n: int64(p)}
}

// OnScheduler sets the scheduler of the system on which the tasklet, and those that it starts, run.
// n is from 0 to Config.Schedulers-1. Without OnScheduler and Spread, a tasklet runs on the
// scheduler of its parent, or where its ref was read before, because a ref never moves. OnScheduler
// panics if n is negative.
func OnScheduler(n int) Option {
	if n < 0 {
		misuse("OnScheduler(%d): schedulers are counted from 0", n)
	}
	return Option{set: optOnScheduler, n: int64(n)}
}

// Spread makes the tasklet run on the scheduler with the smallest load at its start, measured by
// the number of its tasklets and of those that are ready. If the tasklet's ref was read before, it
// runs where that was, because a ref never moves.
func Spread() Option { return Option{set: optSpread} }

// Immediate makes Interval and Rate, and their bodies, call their function at the start too.
func Immediate() Option { return Option{set: optImmediate} }

// Values for [Shutdown] besides times.
const (
	BrutalKill time.Duration = -1 // the kill is hard from the start
	Infinity   time.Duration = -2 // no time limit but the context of System.Stop

	defaultShutdown = 5 * time.Second
)

// Shutdown sets how long a stopping parent waits for the body of this tasklet after it has killed
// it. Then the kill becomes hard: it is raised again at every blocking point. If the body still has
// not ended a second later, the tasklet is detached from the tree with all tasklets below it, and
// reported as leaked. 0 means 5 s; see also BrutalKill and Infinity. The time in which the tasklet
// itself waits for its children does not count. Shutdown panics for other negative values.
func Shutdown(d time.Duration) Option {
	if d < Infinity {
		misuse("Shutdown(%v): negative", d)
	}
	return Option{set: optShutdown, n: int64(d)}
}

// FailurePolicy determines the consequence of a failure of a body, or of one message or round.
type FailurePolicy uint8

const (
	// Resume applies to bodies that are called for each message or round: the failure is reported,
	// and the body continues with the next one, with the same state. It is the default of such
	// bodies, unless they are supervised.
	Resume FailurePolicy = iota
	// End ends the tasklet with the error.
	End
	// Escalate ends the tasklet with the error, and kills the parent with a *ChildError, unless the
	// parent stops or drains its children already.
	Escalate
)

// OnFailure sets the failure policy. It panics if p is not a policy.
func OnFailure(p FailurePolicy) Option {
	switch p {
	case Resume:
		return Option{set: optResume}
	case End:
		return Option{set: optStop}
	case Escalate:
		return Option{set: optEscalate}
	}
	misuse("OnFailure(%d): not a policy", p)
	return Option{}
}

// OnStart makes f run inside the tasklet before its body. If f returns an error, the start has
// failed. OnStart may be given more than once; the functions run in order. It panics if f is nil.
func OnStart(f func(*Tasklet) error) Option {
	mustFunc("OnStart", f != nil)
	return Option{set: optOnStart, start: f}
}

// stopTogether makes the children of the tasklet be stopped together when it ends; see Family.
func stopTogether(d time.Duration) Option {
	if d < Infinity {
		misuse("Supervise with Family.StopTogether %v: negative", d)
	}
	return Option{set: optStopTogether, n: int64(d)}
}

// Retry sets how often a message in hand at a failure is handled again. It applies to the bodies
// ReceiverBody and ReceiverInitBody in a [Slot]: the next tasklet in the slot gets the message
// first. After n times the message is lost, which is reported. A Call keeps waiting for the reply
// during the retries. Otherwise Retry has no effect. It panics if n is negative.
func Retry(n int) Option {
	if n < 0 {
		misuse("Retry(%d): negative", n)
	}
	return Option{set: optRetry, n: int64(n)}
}

// apply configures t by the options. allowed is the set of options that the call named op can use.
func (t *Tasklet) apply(op string, opts []Option, allowed optionSet) (daemon bool, where placement) {
	if allowed&optResume == 0 {
		t.onFailure = End
	}
	chosen, idle := false, (*Option)(nil)
	for i := range opts {
		o := &opts[i]
		if o.set&allowed == 0 {
			misuse("%s can't use the option %s", op, optionNames[o.set])
		}
		switch o.set {
		case optName:
			t.extra().name = o.name
		case optDaemon:
			daemon = true
		case optOnScheduler:
			where = placement(o.n + 1)
		case optSpread:
			where = spread
		case optImmediate:
			t.inst.(interface{ callImmediately() }).callImmediately()
		case optShutdown:
			t.extra().shutdown = time.Duration(o.n)
		case optResume:
			t.onFailure, chosen = Resume, true
		case optStop:
			t.onFailure, chosen = End, true
		case optEscalate:
			t.onFailure, chosen = Escalate, true
		case optOnStart:
			r := t.extra().set()
			r.onStart = append(r.onStart, o.start)
		case optAround:
			r := t.extra().set()
			r.around = append(r.around, o.hook)
		case optStopTogether:
			d := time.Duration(o.n)
			if d == 0 {
				d = defaultShutdown
			}
			t.extra().set().together = d
		case optRetry:
			if o.n > 0 {
				t.inst = t.inst.(retrier).withRetry(int(o.n))
			}
		case optIdle:
			idle = o
		case optUrgent:
			if why := noUrgent(t.inst.lineage(), o.is); why != "" {
				misuse("%s can't use the option Urgent: %s", op, why)
			}
			t.inst = t.inst.(sorter).sorted(o.is)
		}
	}
	if idle != nil {
		t.inst = &idling{instance: t.inst, d: time.Duration(idle.n), f: idle.start}
	}
	if daemon && t.onFailure == Escalate {
		misuse("%s can't use the option OnFailure(Escalate) with Daemon: a daemon has no parent", op)
	}
	if t.supervised && !chosen {
		t.onFailure = End
	}
	return daemon, where
}

// noUrgent returns why the reader of l cannot have the option Urgent with is, or "".
func noUrgent(l anyLineage, is any) string {
	switch typ := reflect.TypeOf(is).In(0); {
	case typ != l.message():
		return fmt.Sprintf("it is for messages of type %v, and those of the tasklet are of type %v", typ, l.message())
	case l.overflow() == mailbox.DropOldest:
		return "the mailbox has the policy DropOldest, and would drop an urgent message first"
	}
	return ""
}

// shutdown returns the time that t has for its stop.
func (t *Tasklet) shutdown() time.Duration {
	if x := t.ex.Load(); x != nil && x.shutdown != 0 {
		return x.shutdown
	}
	return defaultShutdown
}

// boxConfig returns the configuration of the mailbox that the options request.
func boxConfig(op string, opts []Option) (cfg queue.Config) {
	sized := false
	for i := range opts {
		switch opts[i].set {
		case optMailboxLen:
			cfg.Cap, sized = int(opts[i].n), true
		case optOverflow:
			cfg.Overflow = mailbox.Policy(opts[i].n)
		}
	}
	if sized && cfg.Overflow == mailbox.Unbounded {
		misuse("%s with MailboxLen and Unbounded: an unbounded mailbox has no capacity", op)
	}
	return cfg
}

// optionsOf returns the options of the body b, followed by opts.
func optionsOf(b Body, opts []Option) []Option {
	if h, ok := b.(interface{ familyOf() *family }); ok {
		if f := h.familyOf(); f != nil {
			return append(slices.Clip(f.opts), opts...)
		}
	}
	return opts
}
