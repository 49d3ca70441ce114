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
	// MeasureSleep makes the scheduler measure the time that it sleeps; see [Scheduler.Asleep].
	MeasureSleep bool
	// Owner is a value of the code that makes the scheduler, returned by [Scheduler.Owner].
	Owner any
}

// Hooks are called by a scheduler when something happens that its owner may have to handle. Each
// may be nil. All of them except Stall, which runs on a goroutine of its own, are called on the
// scheduler. They must be short and must not park.
type Hooks struct {
	// Name returns a task's name for messages.
	Name func(*Task) string
	// ExitValue returns the panic value of a kill. Without it that is an *Exit.
	ExitValue func(*Task) any
	// Recovered is called when a killed task blocks again after it recovered the kill.
	Recovered func(*Task)
	// Deadlock is called when t is about to close a cycle of waits. soft says that a wait of the
	// cycle can time out, so that t waits nevertheless.
	Deadlock func(t *Task, e *DeadlockError, soft bool)
	// Quiescent is called when nothing is ready, no timer runs and nothing outside is awaited. With
	// a virtual clock it is called at once, and may make something ready. With a real clock it is
	// called after a second, once until something happens again. In a Team this applies to all
	// members together, which are halted during the call; the hook must use their doors to give
	// them work.
	Quiescent func()
	// Lost is called when t cannot be brought to its end, because its Run let a panic out, or
	// because the scheduler ends and t recovers every kill. t is not called again. Its owner must
	// notify everything that waits for t. Lost is called once for a task.
	Lost func(t *Task)
	// Left is called after Stop when nothing is left to do: no task is ready, and only the tasks of
	// Lost own a stack. The work that Left injects is done, and then it is called again. The
	// scheduler ends when Left has injected nothing. In a Team it is called when that holds for all
	// members, which are halted during the call; the hook must use their doors to give them work.
	Left func()
	// Crashed is called, with the first panic, when something that must not panic has panicked and
	// the scheduler is about to end. Tasks that are woken now still run.
	Crashed func(*PanicError)
	// Idle is called when nothing is ready, before the scheduler does anything else about that. If
	// there never is such a moment, it is called once in a while. It is for work at moments that do
	// not depend on other goroutines, and may make something ready.
	Idle func()
	// Stall is called, on another goroutine, when a task keeps control for too long, and again when
	// that has ended.
	Stall func(Stall)
	// Context returns the task's own context, if that is not the *Task; see OwnContexts.
	Context func(*Task) context.Context
	// Worker is called first on the goroutine of each new coroutine that calls tasks.
	Worker func()
	// Jump is called before a virtual clock jumps by d, in a Team of one member. It must make
	// nothing ready.
	Jump func(d time.Duration)
	// Check is called between two activations in builds with the tag tasklet_check, and never in
	// others; see [Scheduler.Check]. An error ends the scheduler. size is the number of tasks that
	// it examined. After a large size it is called less often.
	Check func() (size int, err error)

	// The following hooks are for simulations that decide what is otherwise left to chance, as
	// package actortest does. They cost nothing if they are nil. Without a Seed, Order is not even
	// examined, and the others are far from the switches of tasks.

	// Order, with a Seed, selects the next of the n ready tasks instead of the seed, even if n is
	// 1. 0 is the task that has been ready longest. The others keep their order.
	Order func(n int) int
	// Settled is called when nothing is ready and nothing outside is awaited, before a virtual
	// clock jumps or anything else is done about that. It is called once until something is ready
	// again, and may make something ready.
	Settled func()
	// Late returns by how much a virtual clock jumps too far, so that timers are late. It must not
	// be negative.
	Late func() time.Duration
}
