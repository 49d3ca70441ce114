package core

import (
	"context"
	"time"
)

// Config configures a scheduler for New. The zero value is ready to use.
type Config struct {
	// Clock is the clock of sleeps and timeouts; nil means a real clock of its own. Two schedulers
	// may share a virtual clock only if they belong to one Team.
	Clock Clock
	// Seed, if not 0, seeds a generator that draws the order of ready tasks, which is first come,
	// first served otherwise. With a virtual clock the same seed produces the same run.
	Seed uint64
	// StallAfter is the time for which a task may keep control before Hooks.Stall is called. 0
	// means 100 ms, or never if the clock is virtual. A negative value means never.
	StallAfter time.Duration
	Hooks      Hooks
	// Team, if not nil, is the team of schedulers to which this one belongs. All of them must be
	// made before one runs.
	Team *Team
	// Labels is the context with the profiler labels (see runtime/pprof) with which tasks begin. If
	// it is nil, they begin with none.
	Labels context.Context
	// CheckThreads makes each task check, before it parks and when it returns, whether its
	// goroutine is locked to an OS thread, which would end the program. The check costs
	// microseconds. Builds with the tag tasklet_check always do it.
	CheckThreads bool
	// Owner is a value of the code that makes the scheduler, returned by [Scheduler.Owner].
	Owner any
}

// Hooks are called by a scheduler when something happens that its owner may have to handle. Each
// may be nil. All of them except Stall, which runs on a goroutine of its own, are called on the
// scheduler. They must be short and must not park.
type Hooks struct {
	// Name gives a task's name for messages.
	Name func(*Task) string
	// ExitValue gives the panic value of a kill; without it, an *Exit.
	ExitValue func(*Task) any
	// Recovered is called when a killed task blocks again after it recovered the kill.
	Recovered func(*Task)
	// Deadlock is called when t is about to wait in a ring. soft: somebody in the ring can time
	// out, so t waits all the same.
	Deadlock func(t *Task, e *DeadlockError, soft bool)
	// Quiescent is called when nothing is ready, no timer runs and nothing outside is awaited: with
	// a virtual clock at once (and it may make something ready), with a real one after a second,
	// once until something happens again. In a Team all that is meant of all its members, who stand
	// still meanwhile; what it wants to be done goes through their doors.
	Quiescent func()
	// Lost is called when t can't be brought to its end: its Run let a panic out, or the scheduler
	// ends and t recovers every kill. t is not called again; its owner must tell everybody who
	// waits for it. Once for a task.
	Lost func(t *Task)
	// Left is called after Stop when nothing is left to do: no task is ready, and none owns a stack
	// but those of Lost. What it injects is done, and then it is called again; the scheduler ends
	// when it has injected nothing. In a Team it is called when that holds for all members, who
	// stand still meanwhile; what it wants to be done goes through their doors.
	Left func()
	// Crashed is called, with the first panic, when something that must not panic did, and the
	// scheduler is about to end: what is woken now is still served.
	Crashed func(*PanicError)
	// Idle is called when nothing is ready, before anything else is done about that, and once in a
	// while when there never is such a moment. For what shall happen in a moment that does not
	// depend on other goroutines; it may make something ready.
	Idle func()
	// Stall is called, on another goroutine, when a task keeps control for too long, and again when
	// that is over.
	Stall func(Stall)
	// Context returns the task's own context, where that is not the *Task: see OwnContexts.
	Context func(*Task) context.Context
	// Worker is called on the goroutine of each new coroutine that calls tasks, before anything
	// else.
	Worker func()
	// Jump is called before a virtual clock goes on by d, in a Team of one member. It may make
	// nothing ready.
	Jump func(d time.Duration)
	// Check is called between two activations in builds with the tag tasklet_check, and never in
	// others: see [Scheduler.Check]. An error ends the scheduler. size says how much it looked at;
	// after a large one it is called less often.
	Check func() (size int, err error)

	// The following are for simulations that decide what is else left to chance, as package
	// actortest does. They cost nothing where they are nil: without a Seed the first is not even
	// looked at, the others are far from where tasks are switched.

	// Order, with a Seed, is asked instead of the seed which of the n ready tasks is the next, also
	// for n = 1; 0 is the one that has been ready longest. The others keep their order.
	Order func(n int) int
	// Settled is called when nothing is ready and nothing outside is awaited, before anything else
	// is done about that: before a virtual clock jumps. Once until something is ready again, and it
	// may make something ready.
	Settled func()
	// Late gives by how much a virtual clock jumps too far, so that timers are late; 0 or more.
	Late func() time.Duration
}
