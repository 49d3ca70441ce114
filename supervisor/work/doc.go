// Package work has queues of work: messages that several supervised workers take from one bounded
// queue. A message that fails is tried again after a pause, and one that keeps failing is set
// aside, so that it holds up nothing else:
//
//	orders, err := work.Start(t, work.Spec[Order]{
//		Name:    "orders",
//		Workers: 4,
//		Handle:  func(t *actor.Tasklet, o Order) error { return ship(t, o) },
//		Retry:   flow.Retry{Attempts: 5, Min: time.Second, Jitter: 0.2},
//		Dead:    failed, // a Ref[work.Dead[Order]]
//	})
//	...
//	err = orders.Send(t, order) // waits while the queue is full
//
// The queue is a tasklet, and its workers are its children. The tree shows for the queue how many
// messages are queued, in hand, waiting for another try, set aside and lost. [New] and [Queue.Body]
// put a queue into a supervisor.
//
// # What becomes of a message
//
// A send that returns nil has put the message into the queue, unless the policy is DropNewest. From
// then on exactly one of these is its end, and each but the first is an event:
//
//   - A handler has returned nil, [actor.ErrStop] or [actor.ErrShutdown] for it.
//   - It was set aside: Spec.Dead has accepted it in a [Dead], with the number of tries and the last
//     error (event work_set_aside).
//   - It was lost: dropped by the policy, or Spec.Dead is nil, closed or had no room for it time and
//     again, or the queue has ended permanently (event dead_letter).
//
// # Tries
//
// A try has failed if the handler returns another error, panics or calls runtime.Goexit, or if the
// worker is killed. An error leaves the worker as it is. After anything else the worker is started
// again, with a new Init. A message whose worker was killed may have been handled in part or in
// full, so a handler sees a message at least once, and must be able to bear a repetition.
//
// A message that waits for its next try is in no worker's hands, so that a worker never waits. When
// its pause is over it comes before the messages that were not tried yet. Messages are taken in the
// order of the sends, and are in the hands of different workers at the same time, so the order in
// which they are finished is not defined.
//
// # Bounds
//
// At most Spec.Cap messages are queued by sends. Messages that wait for another try count among
// them, and may exceed the capacity by those that were in hand. So the queue never has more than
// Cap + Workers*Batch.Max messages, with 1 for Batch.Max if there are no batches.
//
// # Ends
//
// The messages belong to the queue and not to its tasklets. If the tasklet of the queue ends and
// its supervisor starts it again, the messages are still there, and senders keep their places. A
// drain handles everything that was accepted, including further tries with their pauses, and
// refuses new messages with mailbox.ErrClosed. When no restart can come, what is left is reported.
package work
