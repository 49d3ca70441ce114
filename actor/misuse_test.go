package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// noContext is the nil context that a user may pass by mistake.
var noContext context.Context

// misuses are all panics for calls that break a rule, with their texts. docs/errors.md has a row
// for each: TestErrorsAreDocumented compares.
//
// f is called inside the tasklet /tasklet/me, a child of main.
var misuses = []struct {
	text string
	f    func(t *actor.Tasklet)
}{
	// Contexts and places.
	{"actor: Run with a nil context", func(*actor.Tasklet) { _ = actor.Run(noContext, actor.Config{}, nil) }},
	{"actor: Run with a nil function", func(*actor.Tasklet) { _ = actor.Run(context.Background(), actor.Config{}, nil) }},
	{"actor: Config.Simulation with 2 schedulers: what happens at the same time can't be decided", func(*actor.Tasklet) {
		_, _ = actor.Start(actor.Config{Schedulers: 2, Simulation: &actor.Simulation{}})
	}},
	{"actor: Config.Schedulers is -1: it must be 1 to 1024, or 0 for 1", func(*actor.Tasklet) { _, _ = actor.Start(actor.Config{Schedulers: -1}) }},
	{`actor: Config.Name with the name "a/b": a slash separates the parts of a path`, func(*actor.Tasklet) { _, _ = actor.Start(actor.Config{Name: "a/b"}) }},
	{"actor: Stop with a nil context", func(t *actor.Tasklet) { _ = t.System().Stop(noContext) }},
	{"actor: System.Stop from inside the tasklet /tasklet/me: it would wait for itself; kill the root instead",
		func(t *actor.Tasklet) { _ = t.System().Stop(t) }},
	{"actor: Drain with a nil context", func(t *actor.Tasklet) { _ = t.System().Drain(noContext) }},
	{"actor: Drain with a nil context", func(t *actor.Tasklet) { _ = t.Drain(noContext) }},
	{"actor: System.Drain from inside the tasklet /tasklet/me: it would wait for itself", func(t *actor.Tasklet) { _ = t.System().Drain(t) }},
	{"actor: Tasklet.Drain of /tasklet from inside /tasklet/me: it would wait for itself", func(t *actor.Tasklet) { _ = t.Parent().Drain(t) }},
	{"actor: OnDrain of a nil function", func(t *actor.Tasklet) { t.OnDrain(nil) }},
	{"actor: Join with a nil context", func(t *actor.Tasklet) { _ = t.Parent().Join(noContext) }},
	{"actor: Call with a nil context", func(*actor.Tasklet) { _, _ = actor.Call(noContext, actor.NewRef[ask](), asking(1)) }},
	{"actor: SlogCore with a nil handler", func(*actor.Tasklet) { actor.SlogCore(nil) }},
	{"actor: Started with a nil context", func(t *actor.Tasklet) { _ = t.Started(noContext) }},
	{"scheduler: Slot.Stop with a nil context", func(t *actor.Tasklet) { _ = emptySlot(t).Stop(noContext) }},
	{"scheduler: WithTimeout with a nil context", func(*actor.Tasklet) { actor.WithTimeout(noContext, 0) }},
	{"scheduler: WithDeadline with a nil context", func(*actor.Tasklet) { actor.WithDeadline(noContext, time.Time{}) }},
	{"mailbox: send with a nil context", func(*actor.Tasklet) { _ = actor.NewRef[int]().Send(noContext, 1) }},
	{"scheduler: Slot.Stop called outside a tasklet: its context belongs to none", func(t *actor.Tasklet) { _ = emptySlot(t).Stop(context.Background()) }},
	{"scheduler: /tasklet blocks while /tasklet/me runs: a context may be used only inside its own tasklet", func(t *actor.Tasklet) { t.Parent().Sleep(1) }},
	{"scheduler: Send with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { _ = actor.NewRef[int]().Send(t.Parent(), 1) }},
	{"scheduler: Go with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.Go(t.Parent(), nop) }},
	{"scheduler: Await with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { _, _ = actor.Await(t.Parent(), outside) }},
	{"scheduler: Pipe with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.Pipe(t.Parent(), outside, actor.NewRef[int](), first) }},
	{"scheduler: Watch with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.Watch(t.Parent(), t, actor.NewRef[string](), noticeText) }},
	{"scheduler: SendAfter with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.SendAfter(t.Parent(), 1, actor.NewRef[int](), 1) }},
	{"scheduler: Defer with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { t.Parent().Defer(func() {}) }},
	{"scheduler: Local.Set with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.NewLocal[int](nil).Set(t.Parent(), 1) }},
	{"scheduler: Local.Clear with the context of /tasklet, but /tasklet/me is running: a context may be used only inside its own tasklet",
		func(t *actor.Tasklet) { actor.NewLocal[int](nil).Clear(t.Parent()) }},

	// Nil functions and bodies.
	{"actor: Go with a nil function", func(t *actor.Tasklet) { actor.Go(t, nil) }},
	{"actor: New with a nil function", func(t *actor.Tasklet) { actor.New[int](t, nil) }},
	{"actor: Later with a nil function", func(t *actor.Tasklet) { actor.Later(t, 1, nil) }},
	{"actor: Loop with a nil function", func(t *actor.Tasklet) { actor.Loop(t, nil) }},
	{"actor: Receiver with a nil function", func(t *actor.Tasklet) { actor.Receiver[int](t, nil) }},
	{"actor: GoBody with a nil function", func(*actor.Tasklet) { actor.GoBody(nil) }},
	{"actor: SpawnBody with a nil function", func(*actor.Tasklet) { actor.SpawnBody(actor.NewRef[int](), nil) }},
	{"actor: ReceiverBody with a nil function", func(*actor.Tasklet) { actor.ReceiverBody(actor.NewRef[int](), nil) }},
	{"actor: ReceiverInitBody with a nil function", func(*actor.Tasklet) { actor.ReceiverInitBody(actor.NewRef[int](), nil) }},
	{"actor: BatchReceiverBody with a nil function", func(*actor.Tasklet) { actor.BatchReceiverBody(actor.NewRef[int](), 1, 0, nil) }},
	{"actor: IntervalBody with a nil function", func(*actor.Tasklet) { actor.IntervalBody(1, nil) }},
	{"actor: RateBody with a nil function", func(*actor.Tasklet) { actor.RateBody(1, nil) }},
	{"actor: OnStart with a nil function", func(*actor.Tasklet) { actor.OnStart(nil) }},
	{"actor: Await with a nil function", func(t *actor.Tasklet) { _, _ = actor.Await[int](t, nil) }},
	{"actor: Pipe with a nil function", func(t *actor.Tasklet) { actor.Pipe(t, outside, actor.NewRef[int](), nil) }},
	{"actor: Watch with a nil function", func(t *actor.Tasklet) { actor.Watch[int](t, t, actor.NewRef[int](), nil) }},
	{"actor: Adapt with a nil function", func(*actor.Tasklet) { actor.Adapt[int](actor.NewRef[int](), nil) }},
	{"actor: Call with a nil function", func(t *actor.Tasklet) { _, _ = actor.Call[ask, int](t, actor.NewRef[ask](), nil) }},
	{"actor: OnEnd with a nil function", func(*actor.Tasklet) { actor.NewRef[int]().OnEnd(nil) }},
	{"actor: Supervise with a nil function", func(*actor.Tasklet) { actor.Supervise(actor.NewRef[int](), actor.Family{Kind: "x"}, nil) }},
	{"actor: Defer of a nil function", func(t *actor.Tasklet) { t.Defer(nil) }},
	{"actor: StartTasklet with a nil Body", func(t *actor.Tasklet) { actor.StartTasklet(t, nil) }},
	{"actor: NewSlot with a nil Body", func(t *actor.Tasklet) { _, _ = actor.NewSlot(t, nil, nil) }},
	{"actor: NewSlot of a nil *Tasklet", func(*actor.Tasklet) { _, _ = actor.NewSlot(nil, nothing, nil) }},
	{"actor: init of /tasklet/me/i returned no handler", func(t *actor.Tasklet) {
		b := actor.ReceiverInitBody(actor.NewRef[int](), func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, nil })
		_, err := startChild(t, t, b, actor.Name("i"))
		var p *actor.PanicError
		errors.As(err, &p)
		panic(p.Value)
	}},

	// Spawners.
	{"actor: Go under a nil Spawner", func(*actor.Tasklet) { actor.Go(nil, nop) }},
	{"actor: StartTasklet under a nil Spawner", func(t *actor.Tasklet) { actor.StartTasklet(nil, nothing) }},
	{"actor: DeadLetters of a nil *System", func(*actor.Tasklet) { actor.DeadLetters(nil, actor.NewRef[actor.DeadLetter]()) }},
	{"actor: Go under a nil *System", func(*actor.Tasklet) { actor.Go((*actor.System)(nil), nop) }},
	{"actor: Go under /tasklet/me/c, which has finished", func(t *actor.Tasklet) {
		c := actor.Go(t, nop, actor.Name("c"))
		_ = c.Join(t)
		actor.Go(c, nop)
	}},
	{"actor: Go from a deferred call of /tasklet/me/c: no children may be started there", func(t *actor.Tasklet) {
		inDeferred(t, func(c *actor.Tasklet) { actor.Go(c, nop) })
	}},
	{"actor: Defer from a deferred call of /tasklet/me/c", func(t *actor.Tasklet) {
		inDeferred(t, func(c *actor.Tasklet) { c.Defer(func() {}) })
	}},

	// Values out of range.
	{"actor: BatchReceiverBody with max 0: it must be positive", func(*actor.Tasklet) {
		actor.BatchReceiverBody(actor.NewRef[int](), 0, 0, func(*actor.Tasklet, []int) error { return nil })
	}},
	{"mailbox: ReceiveBatch with max 0: it must be positive", func(*actor.Tasklet) { queue.New[int](queue.Config{}).ReceiveBatch(0, 0) }},
	{"actor: Around with a nil function", func(*actor.Tasklet) { actor.Around(nil) }},
	{"actor: IdleAfter(0s): the time must be positive", func(*actor.Tasklet) { actor.IdleAfter(0, nil) }},
	{"actor: SetIdle with 0s: the time must be positive", func(t *actor.Tasklet) { t.SetIdle(0, nil) }},
	{"actor: SetIdle of /tasklet/me, which was started without the option IdleAfter", func(t *actor.Tasklet) { t.SetIdle(1, nil) }},
	{"actor: IntervalBody with 0s: the time must be positive", func(t *actor.Tasklet) { actor.Interval(t, 0, nop) }},
	{"actor: RateBody with 0 calls a second: the rate must be positive and finite", func(t *actor.Tasklet) {
		actor.Rate(t, 0, func(*actor.Tasklet, time.Time) error { return nil })
	}},
	{"actor: Name with an empty name", func(*actor.Tasklet) { actor.Name("") }},
	{`actor: Name with the name "a/b": a slash separates the parts of a path`, func(*actor.Tasklet) { actor.Name("a/b") }},
	{"actor: MailboxLen(0): the capacity must be 1 to 1073741824", func(*actor.Tasklet) { actor.MailboxLen(0) }},
	{"actor: Overflow(9): not a policy", func(*actor.Tasklet) { actor.Overflow(9) }},
	{"actor: OnScheduler(-1): schedulers are counted from 0", func(*actor.Tasklet) { actor.OnScheduler(-1) }},
	{"actor: Go with OnScheduler(1): the system has 1, counted from 0", func(me *actor.Tasklet) {
		actor.Go(me, func(*actor.Tasklet) error { return nil }, actor.OnScheduler(1))
	}},
	{"actor: Shutdown(-3ns): negative", func(*actor.Tasklet) { actor.Shutdown(-3) }},
	{"actor: Supervise with Family.StopTogether -3ns: negative", func(*actor.Tasklet) {
		actor.Supervise(actor.NewRef[int](), actor.Family{Kind: "x", StopTogether: -3}, noInit)
	}},
	{"actor: Retry(-1): negative", func(*actor.Tasklet) { actor.Retry(-1) }},
	{"actor: OnFailure(9): not a policy", func(*actor.Tasklet) { actor.OnFailure(9) }},
	{`event: New("spawn"): another kind of event has the name`, func(*actor.Tasklet) { event.New("spawn", zapcore.InfoLevel) }},
	{"actor: NewExtension with a nil function", func(*actor.Tasklet) { actor.NewExtension[int](nil) }},

	// Options that make no sense where they are given.
	{"actor: Go can't use the option OnFailure(Resume)", func(t *actor.Tasklet) { actor.Go(t, nop, actor.OnFailure(actor.Resume)) }},
	{"actor: Go can't use the option Immediate", func(t *actor.Tasklet) { actor.Go(t, nop, actor.Immediate()) }},
	{"actor: Receiver can't use the option Retry", func(t *actor.Tasklet) {
		actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.Retry(1))
	}},
	{"actor: StartTasklet can't use the option MailboxLen", func(t *actor.Tasklet) {
		actor.StartTasklet(t, handle(actor.NewRef[int]()), actor.MailboxLen(1))
	}},
	{"actor: NewRef can't use the option Daemon", func(*actor.Tasklet) { actor.NewRef[int](actor.Daemon()) }},
	{"actor: NewRef with MailboxLen and Unbounded: an unbounded mailbox has no capacity", func(*actor.Tasklet) {
		actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.Unbounded))
	}},
	{"actor: Go can't use the option OnFailure(Escalate) with Daemon: a daemon has no parent", func(t *actor.Tasklet) {
		actor.Go(t, nop, actor.Daemon(), actor.OnFailure(actor.Escalate))
	}},

	// Refs and replies.
	{"actor: Send with a zero Ref", func(t *actor.Tasklet) { _ = actor.Ref[int]{}.Send(t, 1) }},
	{"actor: start of /tasklet/me/again: the ref of its body is dead", func(t *actor.Tasklet) {
		b := handle(actor.NewRef[int]())
		c := actor.StartTasklet(t, b)
		c.Kill()
		_ = c.Join(t)
		actor.StartTasklet(t, b, actor.Name("again"))
	}},
	{"actor: start of /tasklet/me/second: /tasklet/me/first still runs with the same ref", func(t *actor.Tasklet) {
		b := handle(actor.NewRef[int]())
		actor.StartTasklet(t, b, actor.Name("first"))
		actor.StartTasklet(t, b, actor.Name("second"))
	}},
	{"actor: start of /tasklet/me/here: the ref of its body belongs to another system", func(t *actor.Tasklet) {
		ref := actor.NewRef[int]()
		cfg := actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
		other := make(chan error)
		go func() {
			other <- actor.Run(context.Background(), cfg, func(o *actor.Tasklet) error { return ref.Send(o, 1) })
		}()
		if err := <-other; err != nil {
			panic(err)
		}
		actor.StartTasklet(t, handle(ref), actor.Name("here"))
	}},
	{"actor: answer to a zero Reply", func(t *actor.Tasklet) { _ = actor.Reply[int]{}.Send(t, 1) }},
	{"actor: answer with a nil context", func(t *actor.Tasklet) { withReply(t, func(r actor.Reply[int]) { _ = r.Send(noContext, 1) }) }},
	{"actor: Reply.Fail with a nil error", func(t *actor.Tasklet) { withReply(t, func(r actor.Reply[int]) { _ = r.Fail(t, nil) }) }},
	{"actor: Awaited of a zero Reply", func(t *actor.Tasklet) { actor.Reply[int]{}.Awaited() }},
	{"actor: Delegate of a zero Reply", func(t *actor.Tasklet) { actor.Reply[int]{}.Delegate(t) }},
	{"actor: Delegate to a nil *Tasklet", func(t *actor.Tasklet) { withReply(t, func(r actor.Reply[int]) { r.Delegate(nil) }) }},
	{"actor: Watch of a nil *Tasklet", func(t *actor.Tasklet) { actor.Watch(t, nil, actor.NewRef[string](), noticeText) }},
	{"actor: Watch of /tasklet/me by itself: the notice would come after its end", func(t *actor.Tasklet) {
		actor.Watch(t, t, actor.NewRef[string](), noticeText)
	}},
	{"actor: Watch of /tasklet, which belongs to another system", func(t *actor.Tasklet) {
		other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		if err != nil {
			panic(err)
		}
		defer func() { // from an ordinary goroutine
			stopped := make(chan error)
			go func() { stopped <- other.Stop(context.Background()) }()
			<-stopped
		}()
		actor.Watch(t, other.Root(), actor.NewRef[string](), noticeText)
	}},
	{"actor: Link of a nil *Tasklet", func(t *actor.Tasklet) { _, _ = actor.Link(nil, t) }},
	{"actor: Link of a nil *Tasklet", func(t *actor.Tasklet) { _, _ = actor.Link(t, nil) }},
	{"actor: Link with a zero Ref", func(t *actor.Tasklet) { _, _ = actor.Link(t, actor.Ref[int]{}) }},
	{"actor: Link of /tasklet/me with itself", func(t *actor.Tasklet) { _, _ = actor.Link(t, t) }},
	{"actor: Link of /tasklet/me with /tasklet, which belongs to another system", func(t *actor.Tasklet) {
		other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		if err != nil {
			panic(err)
		}
		defer func() { // from an ordinary goroutine
			stopped := make(chan error)
			go func() { stopped <- other.Stop(context.Background()) }()
			<-stopped
		}()
		_, _ = actor.Link(t, other.Root())
	}},
	{"mailbox: TryNext by /tasklet/me of the mailbox that /tasklet/me/r reads: a mailbox has one reader", func(t *actor.Tasklet) {
		var box *mailbox.Mailbox[int]
		actor.Spawn(t, func(r *actor.Tasklet, in *mailbox.Mailbox[int]) error { box = in; r.Sleep(time.Hour); return nil }, actor.Name("r"))
		t.Yield()
		box.TryNext()
	}},
	{"mailbox: TryNext of a mailbox that has no reader", func(*actor.Tasklet) { queue.New[int](queue.Config{}).TryNext() }},
}

var nothing = actor.GoBody(nop)

func nop(*actor.Tasklet) error { return nil }

func outside(context.Context) (int, error) { return 0, nil }

func first(n int, _ error) int { return n }

func handle(ref actor.Ref[int]) actor.Body {
	return actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })
}

// inDeferred calls f in a deferred call of a child, and panics with what it panicked with.
func inDeferred(t *actor.Tasklet, f func(c *actor.Tasklet)) {
	var v any
	c := actor.Go(t, func(c *actor.Tasklet) error {
		c.Defer(func() { v = panicOf(func() { f(c) }) })
		return nil
	}, actor.Name("c"))
	_ = c.Join(t)
	panic(v)
}

// withReply calls f with a reply that nobody has answered yet.
func withReply(t *actor.Tasklet, f func(actor.Reply[int])) {
	_, _ = actor.Call(t, actor.NewRef[ask](), func(r actor.Reply[int]) ask { f(r); return ask{} })
}

// Rules 1, 4, 12, 22, 28: misuse panics at the caller, with the package and the rule that it broke.
func TestMisuse(t *testing.T) {
	for _, c := range misuses {
		t.Run(c.text, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				me := actor.Go(t0, func(me *actor.Tasklet) error {
					require.Equal(t, c.text, fmt.Sprint(panicOf(func() { c.f(me) })))
					return nil
				}, actor.Name("me"))
				require.NoError(t, me.Join(t0))
				return nil
			})
		})
	}
}

// emptySlot is a slot of t.
func emptySlot(t *actor.Tasklet) *actor.Slot {
	s, _ := actor.NewSlot(t, nothing, nil)
	return s
}
