package actortest

import (
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/core"
)

// A Fault is a kind of failure that Explore injects at moments drawn from the seed. [Faults]
// selects the kinds, and [Victims] the tasklets that they may affect.
type Fault uint8

const (
	// Kill kills a tasklet where it is parked, or where it is idle and waits for messages or a
	// time.
	Kill Fault = iota
	// HandlerPanic makes a handler, or a round of an interval, a rate or a loop, panic with
	// [Injected] instead of being called.
	HandlerPanic
	// FullMailbox makes a send find the mailbox full. According to the policy, the send parks for a
	// moment, fails with mailbox.ErrFull, or drops a message. A send that could never proceed if
	// the mailbox were full is refused with a *actor.DeadlockError.
	FullMailbox
	// LateTimer makes the virtual clock jump up to a second too far, so that timers fire late, as
	// on a busy machine.
	LateTimer
	// LostWakeUp loses the result of an Await or a Pipe, so that the tasklet that waits for it
	// waits until it is killed. A program can survive that only by being stopped from outside. Use
	// it to see that a test notices the loss.
	LostWakeUp
	faultKinds
)

// String returns the name of the constant.
func (f Fault) String() string {
	if f >= faultKinds {
		return fmt.Sprintf("Fault(%d)", uint8(f))
	}
	return [...]string{"Kill", "HandlerPanic", "FullMailbox", "LateTimer", "LostWakeUp"}[f]
}

// Injected is the value of the panics that HandlerPanic causes. Failures with this value do not
// fail a test.
type Injected struct{ Path string } // of the tasklet

func (i Injected) Error() string { return "injected by actortest at " + i.Path }

// A plan is everything in a run that is left to chance. A decision is a choice that could be made
// in more than one way. Decisions are numbered in the order in which they come up, and each is
// drawn from the seed and its number alone. So one of them can be left at its default (the task
// that has been ready longest runs next, no fault occurs) without changing what the others draw.
//
// Owned by the scheduler of the run.
type plan struct {
	// Set when it is made, then read-only.
	seed    uint64             // 0 means that everything is at its default
	only    map[int]bool       // if not nil, the decisions that may differ from their default
	shuffle uint64             // one in so many decisions about the order differs from its default
	every   [faultKinds]uint64 // one in so many faults occurs; 0 means none

	next int // the number of the next decision
	left [faultKinds]int
	acts []act
}

// act is a decision that differed from its default.
type act struct {
	n    int
	at   time.Duration // the time since the start of the run
	text string
}

// newPlan returns the plan for a seed. The frequency of choices and faults depends on the seed too:
// a race that needs one change at one moment is found by seeds with few changes, one that needs
// many is found by the others.
func newPlan(seed uint64, faults [faultKinds]bool, only map[int]bool) *plan {
	p := &plan{seed: seed, only: only}
	if seed == 0 {
		return p
	}
	h := mix(seed, 0)
	p.shuffle = []uint64{1, 1, 2, 4, 16, 64}[h%6]
	for k := range faults {
		if h = mix(h, 1); faults[k] {
			p.every[k] = []uint64{1, 4, 16, 64, 256, 1024}[h%6]
			p.left[k] = int(1 + h>>32%4)
		}
	}
	return p
}

// mix is a hash of two numbers (the finalizer of splitmix64).
func mix(a, b uint64) uint64 {
	z := a + (b+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// draw makes the next decision. n is its number. differs says whether it may differ from the
// default, which one decision in every does. h is a number from which to draw the rest.
func (p *plan) draw(every uint64) (n int, h uint64, differs bool) {
	if p.seed == 0 || every == 0 {
		return 0, 0, false
	}
	n = p.next
	p.next++
	if p.only != nil && !p.only[n] {
		return n, 0, false
	}
	h = mix(p.seed, uint64(n)+1)
	return n, mix(h, 0), h%every == 0
}

// order draws which of n ready tasks runs next.
func (s *trial) order(n int) int {
	s.mayKill()
	if n == 1 {
		return 0
	}
	at, h, differs := s.plan.draw(s.plan.shuffle)
	i := int(h % uint64(n))
	if !differs || i == 0 {
		return 0
	}
	s.did(at, "%d of the %d ready tasklets are overtaken by the next", i, n)
	return i
}

// Calm ends the faults of the run that t belongs to: no more are injected, though the order is
// still drawn. Use it before checking that the program has recovered. Recovery takes time, so sleep
// or call [Settle] after Calm. It must be called by a tasklet of the run, and does not park.
func Calm(t *actor.Tasklet) { trialOf(t, "Calm").calm = true }

func (s *trial) did(n int, format string, args ...any) {
	s.plan.acts = append(s.plan.acts, act{n, s.since(), fmt.Sprintf(format, args...)})
}

// fault draws whether a fault of this kind occurs now.
func (s *trial) fault(k Fault) (n int, h uint64, yes bool) {
	if s.calm {
		return 0, 0, false
	}
	if s.root == nil {
		// the scheduler may or may not come to rest before the root is there: that is no decision
		return 0, 0, false
	}
	n, h, yes = s.plan.draw(s.plan.every[k])
	return n, h, yes && s.plan.left[k] > 0
}

// mayKill kills one of the waiting tasklets, or none.
func (s *trial) mayKill() {
	n, h, yes := s.fault(Kill)
	if !yes {
		return
	}
	var waiting []*actor.Tasklet
	for t := range s.root.Tree() {
		if s.isVictim(t) && waits(core.TaskOf(t)) {
			waiting = append(waiting, t)
		}
	}
	if len(waiting) == 0 {
		return
	}
	t := waiting[h%uint64(len(waiting))]
	s.hit(Kill)
	s.did(n, "kill %s, %s", t.Path(), where(t))
	t.Kill()
}

func waits(t *core.Task) bool {
	pending, _ := t.Killed()
	return !pending && (t.State() == core.Parked || t.State() == core.Idle)
}

func where(t *actor.Tasklet) string {
	if kind, _, _ := core.TaskOf(t).Waits(); kind != core.NotParked {
		return "parked in " + kind.String()
	}
	return "idle"
}

// hit counts a fault. Later problems may be its consequence.
func (s *trial) hit(k Fault) {
	s.plan.left[k]--
	s.mu.Lock()
	s.met[k] = true
	s.mu.Unlock()
}

// isVictim reports whether a fault may affect t.
func (s *trial) isVictim(t *actor.Tasklet) bool {
	return t != s.root && !s.probes[t] && s.callVictims(t)
}

// callVictims calls the function of Victims. It runs on the scheduler's stack, where a panic would
// end the whole system.
func (s *trial) callVictims(t *actor.Tasklet) (yes bool) {
	defer func() {
		if v := recover(); v != nil {
			s.problem("panic", core.NewPanicError(v).Error()+", in the function of Victims")
		}
	}()
	return s.o.victims(t)
}

// defaultVictims selects the leaves of the tree, which do the work.
func defaultVictims(t *actor.Tasklet) bool {
	if t.Parent() == nil || len(t.Children()) > 0 {
		return false
	}
	kind := t.Info().Kind
	return kind != "supervisor" && kind != "pool"
}

func (s *trial) mayPanic(t *actor.Tasklet) any {
	n, _, yes := s.fault(HandlerPanic)
	if !yes || !s.isVictim(t) {
		return nil
	}
	s.hit(HandlerPanic)
	s.did(n, "panic in the handler of %s", t.Path())
	return Injected{t.Path()}
}

func (s *trial) mayBeFull(reader *actor.Tasklet) bool {
	n, _, yes := s.fault(FullMailbox)
	if !yes || !s.isVictim(reader) {
		return false
	}
	s.hit(FullMailbox)
	s.did(n, "the mailbox of %s is full", reader.Path())
	return true
}

func (s *trial) mayBeLate() time.Duration {
	n, h, yes := s.fault(LateTimer)
	if !yes {
		return 0
	}
	d := []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second}[h%4]
	s.hit(LateTimer)
	s.did(n, "the clock jumps %v too far", d)
	return d
}

func (s *trial) mayBeLost(t *actor.Tasklet) bool {
	n, _, yes := s.fault(LostWakeUp)
	if !yes || !s.isVictim(t) && t != s.root {
		return false
	}
	s.hit(LostWakeUp)
	s.did(n, "the result of an Await of %s is lost", t.Path())
	return true
}

// simulation returns the functions that the system calls.
func (s *trial) simulation() *actor.Simulation {
	m := &actor.Simulation{Order: s.order, Settled: s.settled, Goroutine: s.ancestry.note}
	if s.plan.every[HandlerPanic] > 0 {
		m.Panic = s.mayPanic
	}
	if s.plan.every[FullMailbox] > 0 {
		m.Full = s.mayBeFull
	}
	if s.plan.every[LateTimer] > 0 {
		m.Late = s.mayBeLate
	}
	if s.plan.every[LostWakeUp] > 0 {
		m.Lost = s.mayBeLost
	}
	return m
}
