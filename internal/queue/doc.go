// Package queue has the bounded queue through which tasks get messages: any number of senders, one
// reader. A tasklet's ref is an address with a mailbox; package actor opens and closes it. Users
// meet its reading calls, policies and errors in package mailbox.
//
// # Reader and home
//
// [New] makes a [Queue]. [Queue.Open] gives it its reader, a task; that task's scheduler is the
// mailbox's home for good, and everything in the mailbox belongs to it. "On home" in a comment
// means: called by a task that runs there, or by work injected there. Only the reader may read:
// [Queue.Receive], [Queue.ReceiveTimeout], [Queue.ReceiveBatch], [Queue.Match], [Queue.Next] and
// [Queue.TryNext] panic in anybody else. All but TryNext park while there is nothing, and are
// blocking points whether they have to wait or not. A reader without a stack takes what is there
// with TryNext or [Queue.TakeBatch], and then returns from its Run after [Queue.Await].
//
// # Senders
//
// A sender is whom its context says: a task, or an ordinary goroutine. A task at home is a local
// sender; it works on the queue itself, without locks. All others, goroutines and tasks of other
// schedulers, are senders from elsewhere: they leave their messages under a lock, and home takes
// them in before it next calls or resumes a task.
//
// The capacity is never exceeded, whoever sends, except by [Queue.PutBack]. To keep it without
// counting together, home promises a part of the room to senders from elsewhere in advance, and
// takes it back when local senders need it.
//
// # Full
//
// What a send does that finds no room is the mailbox's [Policy]:
//
//   - [Block]: it waits, until there is room or its context is done. Waiting senders stand in one
//     line, first come first served. When room appears, the message of the first is moved in at
//     once, on its behalf. Nobody overtakes, neither a new sender nor [Queue.TrySend]. A sender
//     that is killed, or whose context ends, leaves the line without sending.
//   - [Fail]: it returns [ErrFull].
//   - [DropNewest], [DropOldest]: a message is dropped, counted and reported to Config.Losses. The
//     send returns nil.
//   - [Unbounded]: there is always room, until memory ends.
//
// A task that would wait for room that only it could make, directly or round a ring of mailboxes at
// one home, gets a *[core.DeadlockError] instead.
//
// # Open, held, closed
//
//	          Open            Hold
//	new ───────────▶ open ◀────────▶ held     sends go in, up to the capacity, in all three
//	 │                 │  ▲    Open    │
//	 │ Close           │  │ Reopen     │
//	 └────────▶ closed ◀──┴────────────┘      sends get ErrClosed; what is queued can still be read
//
// A mailbox is held between two readers: senders notice nothing but that it may fill. [Queue.Close]
// lets no more in, and sends the waiting senders away with [ErrClosed]; the reader goes on, and its
// calls end when the mailbox is drained, that is closed and empty. [Queue.CloseEmpty] closes and
// reports what is queued as lost; [Queue.Discard] does so and ends the reader. Whoever opens a
// mailbox sees to it that in the end it is drained or discarded: a task does it in a deferred call.
//
// # What is promised
//
//   - The messages of one sender are read in the order in which it sent them; those of all local
//     senders in the order in which they arrived. A message that was sent because another had been
//     is read after it, if the news of that travelled through mailboxes or into home's scheduler by
//     Inject.
//   - A send that returns an error has not sent. One that returned nil has: the message is read, or
//     reported as lost, with its [Ticket] settled once.
//   - Memory is allocated with use, and given back when the mailbox is empty a second after its
//     reader began to wait.
//   - No allocations in steady state, but for a sender from elsewhere that has to wait.
//
// # What is not
//
//   - There is no order between a local sender and one from elsewhere that send at the same time.
//   - A sender from elsewhere that is killed while home lets its message in may have sent.
//   - Room that the reader has made counts for senders from elsewhere when it is promised to them,
//     half of it at a time: under a burst, TrySend and the policies other than Block may find the
//     mailbox full a little early.
//   - A goroutine's context in the hand of a task blocks the whole scheduler if the send has to
//     wait.
//   - If home's scheduler stops and nobody closed the mailbox, those who wait in it wait on.
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
