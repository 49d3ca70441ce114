// Package scheduler provides the tools with which tasklets wait for each other without messages,
// the clocks of a system, and the errors of waits.
//
// # Tools
//
// A [Chan], [Mutex], [Semaphore], [Event] or [WaitGroup] does for tasklets what Go's tool of that
// name, or golang.org/x/sync/semaphore, does for goroutines. A call that has to wait parks the
// tasklet, and the other tasklets of its scheduler continue. A Go channel, a sync.Mutex or
// time.Sleep would block the whole scheduler.
//
// The following calls can park, and are blocking points whether or not they have to wait:
// [Chan.Send], [Chan.Receive], [Chan.All], [Mutex.Lock], [Semaphore.Acquire], [Event.Wait] and
// [WaitGroup.Wait]. Their context must be that of the running tasklet: the *actor.Tasklet itself,
// or a context derived from it. They panic with any other context. The calls without a context
// never park.
//
// A tool belongs to the scheduler of the first tasklet that makes a blocking call on it. Tasklets
// of other schedulers and ordinary goroutines must not use it.
//
// A blocking call returns [ErrTimeout] when a deadline has passed, the cause of a context that has
// ended, and a *[DeadlockError] instead of a wait that could never end. A tasklet that is killed
// while it waits leaves the line at once. If it was handed a value, a lock or units before the
// kill, the call returns normally, and the kill is raised at the next blocking point.
//
// # Clocks
//
// A system takes its time from a [Clock]. The [RealClock] is the default. A [VirtualClock] stands
// still while any tasklet is ready, and then jumps to the next timer. Timers have a resolution of
// 1 ms and never fire early.
//
// # What is guaranteed
//
//   - Tasklets that wait for the same tool are served first come, first served.
//   - A tool hands over the value, lock or units in one step with waking the tasklet, so no other
//     tasklet can overtake it.
//   - A deadlock among holders of a [Mutex] is detected when it forms. If it spans several
//     schedulers, through calls or joins, it is detected a second or two later.
//
// # What is not guaranteed
//
//   - A Chan, Semaphore, Event or WaitGroup has no holder, so a deadlock among tasklets that wait
//     for these is not detected when it forms. When a tasklet waits and nothing in the system can
//     happen any more, that is reported as a deadlock, and on a virtual clock it ends actor.Run.
package scheduler
