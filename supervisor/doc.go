// Package supervisor keeps tasklets running: a supervisor starts children in order, restarts those
// that fail, by a strategy and within a limit, and stops them in reverse order. It is the
// supervisor of Erlang/OTP, exactly, but for what is named below. Package supervisor/tree shows the
// tree, and Spec.LogEvery writes it to the log from time to time.
//
// # A supervisor
//
// A [Spec] lists the children; a [Child] has an ID, a body of package actor, and says when it is
// restarted and how long it has to stop. [Start] starts a supervisor; [Body] makes one a child of
// another. A child runs on its supervisor's scheduler unless actor.OnScheduler or actor.Spread is
// among its Options. The start goes from left to right and waits for each child's init; if one
// fails, those started before are stopped, the last first, and Start returns a *[StartError].
//
//	one_for_one    a  b  c     b fails:  b is restarted
//	rest_for_one   a  b  c     b fails:  c is stopped, b and c are started
//	one_for_all    a  b  c     b fails:  c and a are stopped, a, b and c are started
//
// # When a child ends
//
// A child can end in five ways: normal (nil or actor.ErrStop), shutdown (actor.ErrShutdown),
// killed, error, panic. The last three are failures.
//
//	Permanent   is restarted after each end
//	Transient   is restarted after a failure; else it is kept, stopped
//	Temporary   is never restarted; the supervisor forgets it
//
// To its supervisor a child is in one of three states:
//
//	         start                  end, to be restarted
//	Stopped ───────▶ Running ──────────────────────────▶ Restarting
//	   ▲               │  ▲                                  │  │
//	   │ StopChild, or │  └────────── start succeeds ────────┘  │ StopChild
//	   └─ normal end ──┴─────────────────────────────────────────┘
//
// Restarting is seen when there is a [Backoff], or when the start failed: it is tried again through
// the supervisor's own queue, so that calls get in between, and counts again. More than Intensity
// restarts within Period, and the supervisor gives up: its children are stopped, and it ends with
// [ErrIntensity]. A significant child that ends by itself and is not restarted can end its
// supervisor too, see [AutoShutdown]; that is an end with actor.ErrShutdown.
//
// # What survives
//
// A restart makes a new tasklet. Its ref stays: the mailbox is kept with its order, senders that
// wait for room keep their place, and calls in the queue are answered by the new one. State does
// not survive: actor.HandleInit makes it anew. Timers, watches, deferred calls, locals and children
// end with the old tasklet. The message in hand at a failure is lost, and reported, unless
// Child.Retry lets it be handled again. A ref ends for good when its child is deleted or forgotten,
// or its supervisor ends.
//
// # Stopping
//
// Children are stopped one after the other, the last first, whatever was restarted meanwhile. Each
// is killed and has Shutdown to end; then its kill becomes hard, and a second later it is left
// behind, which is reported (event stop_timeout), and the stop goes on. A [Pool] stops its children
// together.
//
// # Calls
//
// StartChild, StopChild, RestartChild, DeleteChild, Children and Count are OTP's calls, with its
// errors. They go through the supervisor's mailbox, and it does one thing after the other: while it
// waits for an init or a stop, they wait. From an init a call to the own supervisor would wait for
// ever and is refused with a *actor.DeadlockError.
//
// # Guarantees
//
//   - Start left to right, stop right to left, each step awaited.
//   - What one start, restart or stop of a child costs does not depend on how many there are.
//   - No end of a child is missed, none counts twice, and that of one that the supervisor stopped
//     itself is no failure.
//   - A child that can't be stopped stops nobody else.
//   - With a seed, a virtual clock and one scheduler a run repeats, delays of backoffs included.
//
// # What is not OTP's
//
//   - A supervisor that gave up has failed, so that a transient one is restarted. In OTP it ends
//     with shutdown, which is no failure, and stays down without a word.
//   - There is a backoff. With it, the others of a group are stopped at once, and started after the
//     delay with the one that failed.
//   - simple_one_for_one is a type of its own, [Pool].
//   - A static child that has a ref and was deleted, or was temporary and ended, does not come back
//     when its supervisor is restarted, since its ref has ended for good.
//
// # Not promised
//
//   - A restart loses what the old tasklet had done half-way, and a retried message may have been
//     handled in part: make handlers that can bear that.
//   - A body that never blocks can't be stopped; see package actor.
//
// # A program
//
//	counter := actor.NewRef[int]()
//	body := actor.HandleInit(counter, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
//		sum := 0 // new at every start
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
// Sent 1, 2, -1 and 4, it prints the sums 1, 3, 2 and, restarted, 4.
package supervisor
