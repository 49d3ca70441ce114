package actortest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/scheduler"
)

// A Probe is a tasklet that keeps the messages that are sent to its ref, for the test to examine.
// Its methods, except Ref, must be called by the tasklet that made it. The Expect methods park
// until what they expect has happened, and end the test with FailNow if it does not. Explore
// injects no faults into a probe. Use [NewProbe] to make one.
type Probe[M any] struct {
	// Within is how long an Expect method waits, on the system's clock. 0 means a minute.
	Within time.Duration

	t   *actor.Tasklet
	s   *trial
	ref actor.Ref[M]

	// Owned by the scheduler.
	got     []M
	seen    int // how many of them were expected
	arrived scheduler.Event
}

// NewProbe starts a probe as a child of t. The options are those of actor.Receiver. A probe handles
// each message at once, so it has room for any number in any capacity.
func NewProbe[M any](t *actor.Tasklet, opts ...actor.Option) *Probe[M] {
	p := &Probe[M]{t: t, s: trialOf(t, "NewProbe")}
	opts = append([]actor.Option{actor.Name("probe")}, opts...)
	p.ref = actor.Receiver(t, p.keep, opts...)
	p.s.probes[p.ref.Tasklet()] = true
	return p
}

func (p *Probe[M]) keep(_ *actor.Tasklet, m M) error {
	p.got = append(p.got, m)
	p.arrived.Set()
	return nil
}

// Ref returns the ref to send to.
func (p *Probe[M]) Ref() actor.Ref[M] { return p.ref }

// Got returns all messages received so far, in order, including those that were expected already.
func (p *Probe[M]) Got() []M { return slices.Clone(p.got) }

// Expect waits for the next message and fails the test unless it is equal to want, as
// reflect.DeepEqual defines it.
func (p *Probe[M]) Expect(want M) {
	p.s.tb.Helper()
	m, ok := p.next(p.within())
	switch {
	case !ok:
		p.fail("expected  %s\n    got       nothing within %v", show(want), p.within())
	case !reflect.DeepEqual(m, want):
		p.fail("expected  %s\n    got       %s", show(want), show(m))
	}
}

// ExpectMatch waits for the next message and returns it. It fails the test unless match returns
// true for the message.
func (p *Probe[M]) ExpectMatch(match func(M) bool) M {
	p.s.tb.Helper()
	m, ok := p.next(p.within())
	switch {
	case !ok:
		p.fail("expected  a message that matches\n    got       nothing within %v", p.within())
	case !match(m):
		p.fail("expected  a message that matches\n    got       %s", show(m))
	}
	return m
}

// ExpectNone waits for d on the system's clock, and fails the test if a message is received in that
// time. With 0 it waits only until nothing more can happen without time passing.
func (p *Probe[M]) ExpectNone(d time.Duration) {
	p.s.tb.Helper()
	if d > 0 {
		p.t.Sleep(d)
	}
	Settle(p.t)
	if p.seen < len(p.got) {
		m := p.got[p.seen]
		p.seen++
		p.fail("expected  no message for %v\n    got       %s", d, show(m))
	}
}

// ExpectExit waits for the end of target and returns it. It fails the test unless the end is of
// this kind. For a supervised tasklet it is the end of the current incarnation.
func (p *Probe[M]) ExpectExit(target *actor.Tasklet, kind reason.Kind) actor.Exit {
	p.s.tb.Helper()
	ctx, cancel := actor.WithTimeout(p.t, p.within())
	defer cancel()
	err := target.Join(ctx)
	if !target.HasFinished() {
		Settle(p.t) // events at this very moment count too
		err = target.Join(ctx)
	}
	if !target.HasFinished() {
		p.fail("expected  the end of %s: %v\n    got       after %v it is %s (%v)",
			target.Path(), kind, p.within(), stateOf(target), err)
	}
	x, _ := target.Exit()
	if x.Kind != kind {
		p.fail("expected  the end of %s: %v\n    got       %v: %v", x.Path, kind, x.Kind, x.Err)
	}
	return x
}

func (p *Probe[M]) within() time.Duration {
	if p.Within > 0 {
		return p.Within
	}
	return time.Minute
}

// next returns the next message that was not expected yet.
func (p *Probe[M]) next(within time.Duration) (m M, ok bool) {
	if p.seen == len(p.got) {
		ctx, cancel := actor.WithTimeout(p.t, within)
		defer cancel()
		for p.seen == len(p.got) {
			p.arrived.Clear()
			if p.arrived.Wait(ctx) == nil {
				continue
			}
			if Settle(p.t); p.seen == len(p.got) { // events at this very moment count too
				return m, false
			}
		}
	}
	p.seen++
	return p.got[p.seen-1], true
}

// fail ends the test.
func (p *Probe[M]) fail(format string, args ...any) {
	p.s.tb.Helper()
	before := ""
	if n := len(p.got); n > 0 {
		var texts []string
		for _, m := range p.got[max(0, n-5):] {
			texts = append(texts, show(m))
		}
		before = fmt.Sprintf("\n    in all    %d messages, at last %s", n, strings.Join(texts, ", "))
	}
	p.s.told = true
	p.s.tb.Fatalf("%s at %v\n    %s%s\n%s", p.ref, p.s.since(), fmt.Sprintf(format, args...), before, p.s.lastEvents())
}

// show formats a message for people.
func show(m any) string {
	switch m.(type) {
	case string, []byte, error, fmt.Stringer:
		return fmt.Sprintf("%T %q", m, m)
	}
	return fmt.Sprintf("%T %+v", m, m)
}
