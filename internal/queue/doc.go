// Package queue provides the bounded queue through which tasks receive messages. It has any number
// of senders and one reader. A tasklet's ref is an address with a queue; package actor opens and
// closes it. Users see its reading methods, policies and errors in package mailbox. In this package
// a queue is also called a mailbox.
//
// # Reader and home
//
// [New] makes a [Queue]. [Queue.Open] gives it its reader, a task. The scheduler of that task is
// the mailbox's home from then on, and owns everything in the mailbox. "On home" in a comment
// means: called by a task that runs there, or by work injected there.
//
// Only the reader may read: [Queue.Receive], [Queue.ReceiveTimeout], [Queue.ReceiveBatch],
// [Queue.Match], [Queue.Next] and [Queue.TryNext] panic in any other task. All of them except
// TryNext park while there is no message, and are blocking points whether or not they have to wait.
// A reader without a stack takes messages with TryNext or [Queue.TakeBatch], and then returns from
// its Run after [Queue.Await].
//
// # Senders
//
// The context of a send identifies the sender: a task, or an ordinary goroutine. A task at home is
// a local sender. It works on the queue itself, without locks. Goroutines and tasks of other
// schedulers are foreign senders, also called senders from elsewhere. They leave their messages
// under a lock, and home takes these in before it next calls or resumes a task.
//
// The capacity is never exceeded, whichever senders there are, except by [Queue.PutBack]. To ensure
// that without a common count, home promises a part of the room to foreign senders in advance, and
// takes it back when local senders need it.
//
// # Full
//
// The [Policy] of a mailbox determines what a send does that finds no room:
//
//   - [Block]: it waits until there is room or its context is done. Waiting senders stand in one
//     line, first come, first served. When room appears, the message of the first sender is moved
//     in at once, on its behalf. Neither a new sender nor [Queue.TrySend] overtakes. A sender that
//     is killed, or whose context ends, leaves the line without sending.
//   - [Fail]: it returns [ErrFull].
//   - [DropNewest], [DropOldest]: a message is dropped, counted and reported to Config.Losses. The
//     send returns nil.
//   - [Unbounded]: there is always room, until memory is exhausted.
//
// A task that would wait for room that only it could make, directly or through a cycle of mailboxes
// at one home, gets a *[core.DeadlockError] instead.
//
// # Open, held, closed
//
//	          Open            Hold
//	new ───────────▶ open ◀────────▶ held     sends go in, up to the capacity, in all three
//	 │                 │  ▲    Open    │
//	 │ Close           │  │ Reopen     │
//	 └────────▶ closed ◀──┴────────────┘      sends get ErrClosed; queued messages can still be read
//
// A mailbox is held between two readers. Senders do not notice, except that it may fill up.
// [Queue.Close] lets no more messages in, and makes waiting sends return [ErrClosed]. The reader
// continues, and its calls end when the mailbox is drained: closed and empty. [Queue.CloseEmpty]
// closes the mailbox and reports queued messages as lost. [Queue.Discard] does the same and ends
// the reader. A task that opens a mailbox must ensure that it is drained or discarded in the end,
// in a deferred call.
//
// # What is guaranteed
//
//   - The messages of one sender are read in the order in which it sent them, and those of all
//     local senders in the order in which they arrived. A message that was sent because of another
//     is read after it, if the news travelled through mailboxes or into home's scheduler by Inject.
//   - A send that returns an error has not sent. A message whose send has returned nil is read, or
//     reported as lost, and its [Ticket] is settled once.
//   - Memory is allocated with use, and freed when the mailbox has been empty for a second with its
//     reader waiting.
//   - There are no allocations in steady state, except for a foreign sender that has to wait.
//
// # What is not guaranteed
//
//   - There is no order between a local sender and a foreign one that send at the same time.
//   - A foreign sender that is killed while home moves its message in may have sent.
//   - Room that the reader has made counts for foreign senders when it is promised to them, half of
//     it at a time. Under a burst, TrySend and the policies other than Block may find the mailbox
//     full a little early.
//   - A send by a task with a goroutine's context blocks the whole scheduler if it has to wait.
//   - If home's scheduler stops and the mailbox was not closed, calls that wait in it keep waiting.
//
// # A program
//
// A reader and two senders; the mailbox holds two, so the senders wait for the reader:
//
//	m := queue.New[string](queue.Config{Cap: 2})
//	run(func(t *core.Task) {
//		m.Open(t)
//		defer m.Discard()
//		for s := range m.Receive() {
//			fmt.Println(s)
//		}
//	}, func(t *core.Task) {
//		for i := range 3 {
//			m.Send(t, fmt.Sprint("first ", i))
//		}
//	}, func(t *core.Task) {
//		for i := range 3 {
//			m.Send(t, fmt.Sprint("second ", i))
//		}
//	})
//
// where run starts tasks, as in the package's examples. It prints first 0, first 1, first 2, second
// 0, second 1, second 2.
package queue
