// Package scheduler has what tasklets use to wait for each other without messages, and the clocks
// that a system goes by.
//
// # Tools
//
// A [Chan], [Mutex], [Semaphore], [Event] or [WaitGroup] does for tasklets what Go's tool of that
// name does for goroutines. A call that has to wait parks its tasklet, so that the others on its
// scheduler run on. A raw Go channel, a sync.Mutex or time.Sleep would stop the whole scheduler.
//
// These calls park, and are blocking points whether they have to wait or not: [Chan.Send],
// [Chan.Receive], [Chan.All], [Mutex.Lock], [Semaphore.Acquire], [Event.Wait] and [WaitGroup.Wait].
// Their context must be that of the running tasklet: the *actor.Tasklet itself, or a context
// derived from it. They panic with any other. Calls without a context never park, and may be made
// by the tasklets of one scheduler only.
//
// A tool belongs to the scheduler of the first tasklet that waits for it: tasklets of other
// schedulers, and ordinary goroutines, must not use it.
//
// A waiting call returns [ErrTimeout] when a deadline has passed, the cause of a context that has
// ended, and a *[DeadlockError] instead of a wait that could never end. A tasklet that is killed
// while it waits has left the line before it runs again. What had been handed to it by then (a
// value, a lock) is its own: the call returns it, and the kill is raised at the next blocking
// point.
//
// # Clocks
//
// A system takes its time from a [Clock]: [RealClock], or a [VirtualClock], which stands still
// while any tasklet is ready and then jumps to the next timer. Timers have a resolution of 1 ms and
// are never early.
//
// # What is guaranteed
//
//   - Tasklets that wait for the same tool are served first come, first served.
//   - A tool hands over what it has in one step with the wake-up, so nobody can overtake.
//   - A deadlock among holders of a [Mutex] is detected when it forms, or a second or two later if
//     it spans several schedulers.
//
// # What is not guaranteed
//
//   - A Chan, Semaphore, Event or WaitGroup has no holder, so deadlocks among tasklets that wait
//     for these are not detected. A system in which nothing can run any more is reported as such.
package scheduler
