// Package core runs tasks one at a time, co-operatively: each until it waits or is done. Tasklets
// are made from its tasks; it knows nothing of their names, trees and mailboxes. Most programs use
// package actor instead.
//
// # Tasks
//
// A [Task] has a [Runner], whose Run is called each time the task has become ready. If Run returns,
// the task is idle and owns no stack until somebody wakes it and Run is called again: something
// that waits for messages costs a few hundred bytes. If Run blocks half-way, the task is parked,
// and keeps the coroutine that it runs on until Run returns.
//
//	         Wake              called           returns, woken meanwhile
//	Idle ──────────▶ Ready ──────────▶ Running ──────────▶ Ready
//	 ▲                 ▲                │  │ │
//	 └───── returns ───┼────────────────┘  │ └── Finish ─▶ Finished
//	                   └─ Wake ── Parked ◀─┘ Park
//
// # Parked
//
// A task is parked when a call that it made has to wait. Other tasks run meanwhile. These calls
// park:
//
//   - [Task.Park], which all others are made from, and [Task.Sleep];
//   - [Task.Yield], which parks for one round of the ready tasks;
//   - [Chan.Send], [Chan.Receive] and [Chan.All], [Mutex.Lock], [Semaphore.Acquire], [Event.Wait],
//     [WaitGroup.Wait];
//   - in other packages: sending to a full mailbox and reading an empty one, joining, calling and
//     awaiting in package actor, connections of package netio.
//
// Each of them is a blocking point, whether it has to wait or not. Those that take a context need
// that of the running task (the Task itself, or one derived from it) and panic with any other. They
// return [ErrTimeout] when a deadline has passed, the cause of a context that has ended, and a
// *[DeadlockError] instead of waiting for what can't come.
//
// Nothing else parks. A Go channel, a sync.Mutex, time.Sleep, a system call or a long computation
// holds up the scheduler, with all its tasks; Hooks.Stall tells which task it was.
//
// # The loop
//
// [Scheduler.Run] is the loop: it takes in what came through the door, fires the timers that are
// due, and calls or resumes the next ready task, the one that has been ready longest. When none is
// ready it sleeps. Who parks hands control directly to the next one, in a single switch, without
// Go's core.
//
// # The door
//
// All that belongs to a scheduler (its tasks, their lines and timers, a Chan, a Mutex) may be
// touched only on it: by its running task, or by injected work. Other goroutines and other
// schedulers use [Scheduler.Inject] and [Scheduler.InjectFunc], [Scheduler.Stop] and [Task.Kill];
// only these, and what says so, may be called from any goroutine.
//
// # Several of them
//
// Schedulers that work together form a [Team]: they have one time and one idea of quiet. A task
// waits for what is done on another scheduler, or by a goroutine, by a [Bell] or a [WakeUp].
//
// # Clocks and timers
//
// Time comes from a [Clock]: [RealClock], or a [VirtualClock], which stands still while anything is
// ready or awaited from outside, and then jumps to the next timer. Timers go by ticks of 1 ms, and
// are never early. [WithTimeout] gives a context with a deadline on the clock of its task.
//
// # Kill
//
// [Task.Kill] ends a task from outside: at its next blocking point, or in the one where it is
// parked, an *[Exit] is raised as a panic, so that its deferred calls run. A soft kill is raised
// once, and who recovers it lives on; a hard one is raised at every blocking point from then on.
// Run has to recover it in the end, for a panic that gets out ends the core. A task that is killed,
// or times out, while it stands in a line has left the line before it runs. What had been handed
// over to it by then (a value, a lock) is its own: the call returns it, and the kill is raised at
// the next blocking point.
//
// # What is promised
//
//   - One at a time: between two blocking points no other task runs. Tasks of one scheduler share
//     memory without locks, and the race detector agrees.
//   - First come first served, among the ready as in every line: nobody overtakes. Every 64
//     activations the door and the timers are looked at even when tasks are ready.
//   - A deadlock among holders of a [Resource] (a Mutex, for one) is found when it forms; one that
//     goes over several schedulers of a team, a second or two later.
//   - With Config.Seed the order among the ready is drawn, and with a virtual clock too the same
//     seed gives the same run of one core. What those of a team do at the same time is left to the
//     machine.
//   - When Run returns, no goroutine of the scheduler is left but those of tasks that recover every
//     kill ([Scheduler.Leaked]).
//
// # What is not
//
//   - No task is interrupted: one that never blocks keeps everybody else from running, and Run from
//     returning.
//   - Tasks of one scheduler don't run in parallel; for that there are several schedulers.
//   - A task must not block or return between runtime.LockOSThread and its UnlockOSThread, nor
//     block in Go code that C has called: Go's runtime would end the program. Config.CheckThreads
//     makes that a panic of the task.
//   - Nobody looks for deadlocks of what has no holder: a Chan, a Semaphore, an Event, a WaitGroup.
//     Hooks.Quiescent is called when nothing can go on any more.
//
// # A program
//
// Two tasks, and a day that takes no time:
//
//	type once func(t *core.Task) // a Runner that runs once
//
//	func (f once) Run(t *core.Task) {
//		defer func() {
//			if _, killed := recover().(*core.Exit); killed {
//				fmt.Println(t, "was killed")
//			}
//			t.Finish()
//		}()
//		f(t)
//	}
//
//	func main() {
//		s := core.New(core.Config{Clock: core.NewVirtualClock(time.Time{})})
//		start := func(id uint64, f once) {
//			t := new(core.Task)
//			t.Init(s, id, f)
//			t.Wake()
//		}
//		var hours scheduler.Chan[int]
//		start(1, func(t *core.Task) {
//			for h := range hours.All(t) {
//				fmt.Println("it is", h)
//			}
//		})
//		start(2, func(t *core.Task) {
//			for h := 6; h <= 24; h += 6 {
//				t.Sleep(6 * time.Hour)
//				_ = hours.Send(t, h) // nobody closes it
//			}
//			s.Stop()
//		})
//		_ = s.Run() // "it is 6" to "it is 24", then "task 1 was killed"
//	}
package core
