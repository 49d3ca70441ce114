// Package actor provides tasklets: activities that run one at a time on a scheduler, exchange typed
// messages, and form a tree in which a parent ends after its children.
//
// # Tasklets
//
// A [Tasklet] has a name, a place in the tree, a body, and an end. [Go] starts one that calls a
// function, and [New] one whose function has a result. The tasklets of a scheduler take turns: each
// runs until it waits or is done, and then another runs. Between two blocking points no other
// tasklet runs, so the tasklets of a scheduler may share memory without locks. A system has one
// scheduler unless Config.Schedulers says otherwise.
//
// [Run] runs a function as the root of a system, and returns when the root and all tasklets below
// it have finished. [Start] makes a system that runs beside the rest of a program, until
// [System.Stop].
//
// # The tree
//
// A tasklet's parent is the tasklet that started it. When the body of a tasklet has ended, its
// children are stopped, the newest first, and the tasklet finishes after them. So there are no
// orphans. A tasklet that must outlive the one that starts it is started with [Daemon], or under
// the [System] instead of the tasklet. [Tasklet.Tree] iterates over a subtree. Paths such as
// "/shop/orders/worker-3" identify tasklets in the log, in errors and in trees.
//
// # Bodies
//
// A [Body] describes what a tasklet does. Each function that starts a tasklet has a body that does
// the same:
//
//	GoBody(f)                        Go(p, f), New(p, f)        calls f once
//	LaterBody(d, f)                  Later(p, d, f)             calls f once, after d
//	IntervalBody(d, f)               Interval(p, d, f)          calls f, and again d after each call
//	RateBody(hz, f)                  Rate(p, hz, f)             calls f hz times a second
//	LoopBody(f)                      Loop(p, f)                 calls f repeatedly
//	SpawnBody(ref, f)                Spawn(p, f)                calls f once, with a mailbox
//	ReceiverBody(ref, f)             Receiver(p, f)             calls f for each message
//	BatchReceiverBody(ref, n, d, f)  BatchReceiver(p, n, d, f)  calls f for up to n messages
//	ReceiverInitBody(ref, init)      StartTasklet(p, body)      init returns the handler
//
// All bodies except GoBody and SpawnBody own no stack while they wait. An idle receiver takes a few
// hundred bytes, and handling a message takes no switch of stacks.
//
// # Refs and mailboxes
//
// A [Ref] is the address of a tasklet that takes messages of one type: a small value that can be
// copied, compared and sent. Its messages go to a bounded [mailbox.Mailbox]. A send to a full
// mailbox parks the sender until there is room, unless [Overflow] sets another policy. The messages
// of one sender arrive in the order in which they were sent. A message that will not be read is
// reported, by an error to its sender or by a dead-letter event.
//
// [Call] sends a request and waits for its [Reply]. Another tasklet may answer, see
// [Reply.Delegate]. If no answer can come, the call returns an error at once.
//
// A ref stays valid over restarts: the next tasklet with the same body reads the same mailbox.
// [Ref.Close] ends a receiver after it has handled the queued messages.
//
// # Life cycle
//
//	          init done          body ended          no child left         deferred calls done
//	starting ───────────▶ living ───────────▶ stopping ───────────▶ deferring ───────────▶ finished
//	    │                                        ▲
//	    └─────────────── init failed ────────────┘
//
// A tasklet is *starting* while the functions of [OnStart] and the init of [ReceiverInitBody] run,
// *living* while its body runs, *stopping* while its children are stopped, and *deferring* while
// the calls of [Tasklet.Defer] run, the last first. Then it is *finished*. In one step it leaves
// the tree, its end is logged, tasklets that join it are woken, and those that [Watch] it are
// notified.
//
// # Kill
//
// [Tasklet.Kill] asks a tasklet to end. A *[Killed] is raised as a panic where the tasklet
// waits, or at its next blocking point, so that deferred calls run. A tasklet that owns no stack
// simply ends. A body may recover the kill and continue, which is logged.
//
// A parent that stops a child waits for it for the time set by [Shutdown]. Then the kill becomes
// hard: it is raised at every blocking point. A second later the child is detached, and named in
// the log and in the error of Run or Stop. A kill of a tasklet in [Await] cancels the context of
// the function, and the tasklet unwinds when the function has returned.
//
// # Failure
//
// The result of a tasklet is the error that its body returns, or the value with which it panics.
// [Tasklet.Join] returns nil for an end that is not a failure (nil, [ErrStop], [ErrShutdown]), and
// otherwise a *[JoinError]. A failed child does not end its parent, but it is never silent: each
// failed end is one entry in the log. With [OnFailure] it can end its parent as well. Bodies that
// are called repeatedly log the failure of a call and continue, unless OnFailure says otherwise.
// Package supervisor restarts failed tasklets.
//
// # Contexts
//
// A *Tasklet is a [context.Context], and every blocking call takes a context. It identifies the
// caller, and limits the wait. Inside a tasklet, pass the tasklet itself or a context derived from
// it; [WithTimeout] derives one that uses the clock of the system, without a goroutine. Ordinary
// goroutines pass any other context. An HTTP handler passes that of its request, so that the call
// ends when the client goes away. A tasklet's context may be used only inside the tasklet;
// functions of [Await] and [Pipe], which run on other goroutines, get a context of their own.
//
// # What parks
//
// The following calls park the tasklet that makes them, while the other tasklets run: [Sleep],
// [Yield], and the methods of these names; [Ref.Send] when there is no room; [Call]; the Join
// functions and methods; [Await]; [Tasklet.Started], [Slot.Start] and [Slot.Stop]; the methods of
// package mailbox that read; Chan, Mutex, Semaphore, Event and WaitGroup of package scheduler; the
// connections of package netio. They are blocking points. If a wait could never end, because the
// awaited tasklet waits for the caller, the call returns a *[DeadlockError].
//
// Nothing else parks. A Go channel, a sync.Mutex, time.Sleep, a system call or a long computation
// blocks all tasklets of the scheduler; use Await for these. A tasklet that holds its scheduler for
// too long is named in the log, with its stack. docs/blocking.md has an alternative for each case.
//
// # Several schedulers
//
// With Config.Schedulers a system has several schedulers, each on its own goroutine, and so uses
// several processors. A child runs on the scheduler of its parent, unless it is started with
// [OnScheduler] or [Spread]. A ref never moves. Everything works between schedulers as within one:
// sends in order and within the bound, calls, joins, kills, watches, restarts, the stop of the tree
// in reverse order. The differences are:
//
//   - Tasklets of different schedulers run at the same time. They may share only memory that is
//     passed in messages, and no Chan or Mutex.
//   - A message to another scheduler costs a lock, and perhaps a wake-up: about as much as one
//     through a buffered channel.
//   - A cycle of waits over several schedulers is detected a second or two after it has formed.
//     Then the youngest wait from one scheduler to another is refused.
//   - The machine decides which scheduler first sees what happens at the same time, so a seed does
//     not repeat it. With a virtual clock the schedulers share one time, which advances when no
//     tasklet is ready on any of them.
//
// # What is guaranteed
//
//   - On each scheduler one tasklet runs at a time. Ready tasklets, and tasklets in a line, are
//     served first come, first served.
//   - A mailbox never holds more than its capacity, except for a message that is retried after a
//     crash. No message is lost without a report.
//   - A tasklet does not finish before its children have finished. Any number of tasklets may join
//     it, before and after its end, and all get its result.
//   - A late reply never reaches a newer call.
//   - With a virtual clock (scheduler.NewVirtualClock), a seed and one scheduler, the same program
//     runs in the same way.
//   - When Run or Stop has returned without a *[StopError], no goroutine of the system is left.
//
// The 39 numbered rules of docs/semantics.md define the details; tests name the rule that they
// check.
//
// # What is not guaranteed
//
//   - The tasklets of a scheduler do not run in parallel. Work that needs more than one processor
//     belongs in Await, or on several schedulers. Tasklets do not move between schedulers.
//   - Tasklets are not pre-empted. A tasklet that never blocks keeps the others on its scheduler
//     from running. It is named, and Stop returns, but it cannot be removed.
//   - A reply may be lost with its tasklet after the request was handled. A request whose call has
//     timed out may still be handled.
//   - Refs are valid only in their process.
//
// # A program
//
//	type add struct{ n int }
//	type total struct{ reply actor.Reply[int] }
//
//	err := actor.Run(context.Background(), actor.Config{Name: "shop"}, func(t *actor.Tasklet) error {
//		sum := 0
//		counter := actor.Receiver(t, func(t *actor.Tasklet, m any) error {
//			switch m := m.(type) {
//			case add:
//				sum += m.n
//			case total:
//				return m.reply.Send(t, sum)
//			}
//			return nil
//		}, actor.Name("counter"))
//
//		worker := actor.Go(t, func(t *actor.Tasklet) error {
//			for n := 1; n <= 4; n++ {
//				t.Sleep(time.Millisecond)
//				if err := counter.Send(t, add{n}); err != nil {
//					return err
//				}
//			}
//			return nil
//		})
//		if err := worker.Join(t); err != nil {
//			return err
//		}
//		n, err := actor.Call(t, counter, func(r actor.Reply[int]) any { return total{r} })
//		fmt.Println(counter, "has", n) // /shop/counter has 10
//		return err                     // the counter is stopped with its parent
//	})
package actor
