// Package machine has bodies for tasklets whose handler changes with their state. Each [State] has
// a handler of its own, and may have a function for its beginning, and a time limit. A message that
// the state cannot handle yet is stashed, and is handled after the next change of state:
//
//	func dial(t *actor.Tasklet, m *machine.Machine[request]) (*machine.State[request], error) {
//		var conn *connection
//		var connecting, connected *machine.State[request]
//		connecting = &machine.State[request]{
//			Name: "connecting",
//			Handle: func(t *actor.Tasklet, r request) (err error) {
//				if r.kind != opened {
//					return m.Stash() // for the state connected
//				}
//				conn = r.conn
//				m.Become(connected)
//				return nil
//			},
//			Timeout:   10 * time.Second,
//			OnTimeout: func(t *actor.Tasklet) error { return errors.New("no connection") },
//		}
//		connected = &machine.State[request]{
//			Name:   "connected",
//			Handle: func(t *actor.Tasklet, r request) error { return conn.send(t, r) },
//		}
//		return connecting, nil
//	}
//
//	body := machine.Body(ref, machine.Config{}, dial)
//
// The body is that of a receiver in all other respects. [actor.OnFailure], [actor.Retry] and
// [actor.Around] apply to it, [actor.Call] sends requests to it, and it ends when its ref is closed
// and all messages are handled. It corresponds to gen_statem of Erlang, with postponed events and
// state timeouts, and to become and stash of Akka.
//
// # Changes of state
//
// [Machine.Become] asks for a change of state. It takes effect when the function that has called it
// has returned nil. Then the following happens, in this order, and each step is one call of the
// program:
//
//   - The time of the old state is over, and the stashed messages become the next ones.
//   - Enter of the new state is called. It may call Become too, and then nothing else is called in
//     that state.
//   - The time of the new state begins.
//   - The messages are handled, those that were stashed first, in the order in which they were
//     stashed.
//
// Every Become is a change of state, also one to the same state. If a function fails, what it has
// asked for by Become and [Machine.Unstash] is forgotten. If the tasklet continues, with
// actor.OnFailure(actor.Resume), it does so in the state in which the function was called, which
// for Enter is the new one.
//
// # Times
//
// State.Timeout limits the time in a state. Unlike [actor.IdleAfter], it does not begin anew with a
// message. When it is over, OnTimeout is called once, before any message that is handled after that
// moment. It cannot interrupt a handler. If handlers neither park nor end the step of the
// scheduler, up to 64 messages may be handled first.
//
// # The stash
//
// [Machine.Stash] puts the message in hand back into the mailbox of the ref, where the machine
// skips it until the next change of state. It counts against the capacity of the mailbox, and the
// queued messages of the ref, because it is not handled yet. A caller that waits for an answer to
// it goes on waiting. So the following holds for stashed messages as for others that are queued:
//
//   - They survive a restart by a supervisor. The next tasklet begins in its first state, and gets
//     them first.
//   - If the ref ends permanently they are dead letters, with a count and a reason in the log; see
//     [actor.DeadLetters].
//   - A drain waits for them as long as the state can still change. If the ref is closed, no message
//     is left but stashed ones, and no time limit runs, then the machine ends and reports them. A
//     drain that is cut names their number.
//   - Under mailbox.DropOldest they are the oldest, and are dropped first.
//
// Config.Stash limits their number, and is smaller than the capacity of the mailbox, so that there
// is room for a message that changes the state. If the stash is full, Stash returns [ErrStashFull].
// A handler that returns that has failed on the message, like on any other error.
//
// Trees show the name of the state as the label state, and the number of stashed messages as the
// label stash. The log entries of a failure and of an end have the same as fields.
package machine
