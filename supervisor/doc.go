// Package supervisor keeps tasklets running. A supervisor starts its children in order, restarts
// those that fail, by a strategy and within a limit, and stops them in reverse order. It behaves as
// the supervisor of Erlang/OTP, except for the differences listed below. Package supervisor/tree
// shows the tree, and Spec.LogEvery writes it to the log periodically.
//
// # Supervisors
//
// A [Spec] lists the children. A [Child] has an ID, a body of package actor, the rule for its
// restarts, and the time that it has to stop. [Start] starts a supervisor, and [Body] makes one a
// child of another. A child runs on its supervisor's scheduler unless actor.OnScheduler or
// actor.Spread is among its Options. Children start from left to right, each after the init of the
// one before it. If a start fails, the children that were started are stopped in reverse order, and
// Start returns a *[StartError].
//
//	one_for_one    a  b  c     b fails:  b is restarted
//	rest_for_one   a  b  c     b fails:  c is stopped, b and c are started
//	one_for_all    a  b  c     b fails:  c and a are stopped, a, b and c are started
//
// # When a child ends
//
// A child ends in one of five ways: normal (nil or actor.ErrStop), shutdown (actor.ErrShutdown),
// killed, error, panic. The last three are failures.
//
//	Permanent   is restarted after each end
//	Transient   is restarted after a failure; after another end it is kept, stopped
//	Temporary   is never restarted; its specification is removed
//
// To its supervisor a child is in one of three states:
//
//	         start                  end, to be restarted
//	Stopped ───────▶ Running ──────────────────────────▶ Restarting
//	   ▲               │  ▲                                  │  │
//	   │ StopChild, or │  └────────── start succeeds ────────┘  │ StopChild
//	   └─ normal end ──┴─────────────────────────────────────────┘
//
// A child is seen as Restarting if there is a [Backoff], or if its start has failed. A failed start
// is retried through the supervisor's own queue, so that calls are handled in between, and counts
// as another restart. When there are more than Intensity restarts within Period, the supervisor
// gives up: it stops its children and ends with [ErrIntensity]. A significant child that ends by
// itself and is not restarted can end its supervisor too, see [AutoShutdown]; the supervisor then
// ends with actor.ErrShutdown.
//
// # What survives a restart
//
// A restart makes a new tasklet. The ref of the child stays valid: its mailbox keeps its order,
// senders that wait for room keep their places, and the new tasklet answers the queued calls. State
// does not survive: actor.ReceiverInitBody makes it anew. Timers, watches, deferred calls, locals
// and children end with the old tasklet. The message in hand at a failure is lost, and reported,
// unless Child.Retry makes the new tasklet handle it again. A ref ends permanently when its child
// is deleted or removed, or its supervisor ends.
//
// # Stopping
//
// Children are stopped one after the other in reverse order of start, whichever were restarted.
// Each is killed and has the time Shutdown to end. Then its kill becomes hard. A second later it is
// left behind, which is reported (event stop_timeout), and the stop continues. A [Pool] stops its
// children together.
//
// # Calls
//
// StartChild, StopChild, RestartChild, DeleteChild, Children and Count are OTP's calls, with its
// errors. They go through the supervisor's mailbox, and a supervisor does one thing after the
// other: while it waits for an init or a stop, the calls wait. A call from an init to its own
// supervisor would wait forever, and returns a *actor.DeadlockError.
//
// # What is guaranteed
//
//   - Children start from left to right and stop from right to left, and each step waits for the
//     one before it.
//   - The cost of a start, a restart or a stop of one child does not depend on the number of
//     children.
//   - Each end of a child is noticed and counts once. An end that the supervisor itself has caused
//     is no failure.
//   - A child that cannot be stopped does not keep the others from being stopped.
//   - With a seed, a virtual clock and one scheduler a run can be repeated, including the delays of
//     backoffs.
//
// # What is not guaranteed
//
//   - A restart loses work that the old tasklet had done half-way, and a retried message may have
//     been handled in part. Handlers must allow for that.
//   - A body that never blocks cannot be stopped; see package actor.
//
// # Differences from OTP
//
//   - A supervisor that gives up has failed, so that a transient one is restarted. In OTP it ends
//     with shutdown, which is no failure, and silently stays down.
//   - There is a backoff. With it, the other children of a group are stopped at once, and started
//     after the delay with the one that failed.
//   - simple_one_for_one is a type of its own, [Pool].
//   - A static child with a ref that was deleted, or was temporary and ended, is not started again
//     when its supervisor is restarted, because its ref has ended permanently.
//
// # A program
//
//	counter := actor.NewRef[int]()
//	body := actor.ReceiverInitBody(counter, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
//		sum := 0 // each start begins with a new sum
//		return func(t *actor.Tasklet, n int) error {
//			sum += n
//			fmt.Println("sum", sum)
//			if n < 0 {
//				return errors.New("negative")
//			}
//			return nil
//		}, nil
//	})
//	_, err := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{{ID: "counter", Body: body}}})
//
// When it is sent 1, 2, -1 and 4, it prints the sums 1, 3, 2 and, after the restart, 4.
package supervisor
