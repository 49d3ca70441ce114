// Package core is the engine: it runs tasks one at a time, co-operatively, each until it waits or
// is done. Tasklets are made from its tasks. It knows nothing of names, trees and mailboxes.
// Programs use package actor.
//
// # Tasks
//
// A [Task] has a [Runner], whose Run is called each time the task has become ready. If Run returns,
// the task is idle: it owns no stack until it is woken and Run is called again, so a task that
// waits for messages costs a few hundred bytes. If Run blocks half-way, the task is parked, and
// keeps the coroutine that it runs on until Run returns.
//
//	         Wake              called           returns, woken before
//	Idle ──────────▶ Ready ──────────▶ Running ──────────▶ Ready
//	 ▲                 ▲                │  │ │
//	 └───── returns ───┼────────────────┘  │ └── Finish ─▶ Finished
//	                   └─ Wake ── Parked ◀─┘ Park
//
// # Parked
//
// A task is parked when a call that it made has to wait. Other tasks run during the wait. The
// following calls park:
//
//   - [Task.Park], from which all others are made, and [Task.Sleep];
//   - [Task.Yield], which parks for one round of the ready tasks;
//   - the blocking methods of Chan, Mutex, Semaphore, Event and WaitGroup in package scheduler;
//   - in other packages: sending to a full mailbox and reading an empty one; joining, calling and
//     awaiting in package actor; connections of package netio.
//
// Each of them is a blocking point, whether or not it has to wait. Those that take a context
// require that of the running task (the Task itself, or a context derived from it) and panic with
// any other. They return [ErrTimeout] when a deadline has passed, the cause of a context that has
// ended, and a *[DeadlockError] instead of a wait that could never end.
//
// Nothing else parks. A Go channel, a sync.Mutex, time.Sleep, a system call or a long computation
// holds up the scheduler with all its tasks; Hooks.Stall reports which task it was.
//
// # The loop
//
// [Scheduler.Run] is the loop. It takes in the work that has come through the door, fires the
// timers that are due, and calls or resumes the next ready task, the one that has been ready
// longest. When none is ready it sleeps. A task that parks hands control directly to the next one,
// in a single switch, without Go's scheduler.
//
// # The door
//
// The data of a scheduler (its tasks, their lines and timers, a Chan, a Mutex) may be used only on
// it: by its running task, or by injected work. Other goroutines and other schedulers use
// [Scheduler.Inject] and [Scheduler.InjectFunc], [Scheduler.Stop] and [Task.Kill]. Only these, and
// calls whose comments say so, may be made from any goroutine.
//
// # Teams
//
// Schedulers that work together form a [Team]: they have one time, and are quiescent together. A
// task waits for work of another scheduler, or of a goroutine, through a [Bell] or a [WakeUp].
//
// # Clocks and timers
//
// Time comes from a [Clock]: [RealClock], or a [VirtualClock], which stands still while anything is
// ready or the outside is awaited, and then jumps to the next timer. Timers have a resolution of 1
// ms and never fire early. [WithTimeout] returns a context with a deadline on the clock of its
// task.
//
// # Kill
//
// [Task.Kill] ends a task from outside. At the blocking point where the task is parked, or at the
// next one that it reaches, an *[Exit] is raised as a panic, so that its deferred calls run. A soft
// kill is raised once, and a task that recovers it continues. A hard kill is raised at every
// blocking point from then on. Run must recover it in the end, because a panic that leaves Run ends
// the scheduler. A task that is killed, or times out, while it stands in a line has left the line
// before it runs. If it was handed a value or a lock before that, the call returns it, and the kill
// is raised at the next blocking point.
//
// # What is guaranteed
//
//   - Between two blocking points of a task no other task runs. Tasks of one scheduler share memory
//     without locks, and the race detector agrees.
//   - Ready tasks, and tasks in a line, are served first come, first served. Every 64 activations
//     the door and the timers are checked even if tasks are ready.
//   - A deadlock among holders of a [Resource] (such as a Mutex) is detected when it forms. One
//     that spans several schedulers of a team is detected a second or two later.
//   - With Config.Seed the order of ready tasks is drawn. If the clock is virtual too, the same
//     seed produces the same run of one scheduler. The machine decides the order among those of a
//     team.
//   - When Run returns, no goroutine of the scheduler is left except those of tasks that recover
//     every kill ([Scheduler.Leaked]).
//
// # What is not guaranteed
//
//   - Tasks are not pre-empted: one that never blocks keeps the others from running, and Run from
//     returning.
//   - Tasks of one scheduler do not run in parallel; use several schedulers for that.
//   - A task must not block or return between runtime.LockOSThread and its UnlockOSThread, nor
//     block in Go code that C has called: Go's runtime would end the program. Config.CheckThreads
//     makes that a panic of the task.
//   - Deadlocks of tools without a holder are not detected when they form: Chan, Semaphore, Event,
//     WaitGroup. Hooks.Quiescent is called when nothing can happen any more.
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
//				_ = hours.Send(t, h)
//			}
//			s.Stop()
//		})
//		_ = s.Run() // "it is 6" to "it is 24", then "task 1 was killed"
//	}
package core
