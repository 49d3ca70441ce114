// Package actor has tasklets: activities that run one at a time on a scheduler, send each other
// typed messages, and live in a tree in which a parent ends after its children.
//
// # Tasklet
//
// A [Tasklet] is what runs: it has a name, a place in the tree, a body, and an end. [Go] starts one
// that calls a function, [New] one whose function has a result. The tasklets of one scheduler take
// turns: each runs until it waits or is done, then another does. Between two blocking points nobody
// else runs, so they may share memory without locks. A system has one scheduler unless
// Config.Schedulers says otherwise.
//
// [Run] runs a function as the root of a system, until it and everything below is finished. [Start]
// makes a system that lives beside the rest of a program, until [System.Stop].
//
// # Tree
//
// Who starts a tasklet is its parent. When a tasklet's body has ended, for whatever reason, its
// children are stopped, the newest first, and it is finished when they are: there are no orphans.
// What should outlive its starter is started with [Daemon], or under the [System] instead of the
// tasklet. [Tasklet.Tree] walks what is below a tasklet; paths as "/shop/orders/worker-3" name
// tasklets in the log, in errors and in trees.
//
// # Bodies
//
// A [Body] is what a tasklet does. The functions that start tasklets take one apart for the common
// cases:
//
//	Func(f)                      Go(p, f), New(p, f)           calls f once
//	Read(ref, f)                 Spawn(p, f)                   calls f once with a mailbox, for a receive loop
//	Handle(ref, f)               Receiver(p, f)                calls f for each message
//	HandleBatch(ref, n, d, f)    BatchReceiver(p, n, d, f)     calls f for up to n messages at a time
//	HandleInit(ref, init)        StartTasklet(p, body)         init makes the state and returns the handler
//	Every(d, f)                  Interval(p, d, f)             calls f, and d later again
//	AtRate(hz, f)                Rate(p, hz, f)                calls f hz times a second
//	                             Later(p, d, f), Loop(p, f)    calls f once after d; calls f again and again
//
// All but Func and Read own no stack while they wait: an idle receiver costs a few hundred bytes,
// and handling a message costs no switch.
//
// # Refs and mailboxes
//
// A [Ref] is the address of a tasklet that takes messages of one type: a small value that can be
// copied, compared and sent. Behind it is a bounded [mailbox.Mailbox]. A send to a full one parks
// the sender until there is room, unless [Overflow] says otherwise. Messages of one sender arrive
// in the order in which they were sent. What nobody will read is reported: an error to its sender,
// or a dead-letter event. [Call] sends a request and waits for its [Reply], which somebody else may
// give, see [Reply.Delegate]; if no answer can come any more, the call ends at once and says why.
//
// A ref is valid over restarts: the next tasklet with the same body reads the same mailbox. To end
// a receiver gently, [Ref.Close] it.
//
// # Life cycle
//
//	          init done          body ended          no child left         deferred calls done
//	starting ───────────▶ living ───────────▶ stopping ───────────▶ deferring ───────────▶ finished
//	    │                                        ▲
//	    └─────────────── init failed ────────────┘
//
// A tasklet is *starting* while the functions of [OnStart] and the init of [HandleInit] run,
// *living* while its body does, *stopping* while its children are stopped, *deferring* while the
// calls of [Tasklet.Defer] run, the last first, and then *finished*, in one step: it leaves the
// tree, its end is logged, joiners go on, those who [Watch] it are told.
//
// # Kill
//
// [Tasklet.Kill] asks a tasklet to end. Where it waits, or at its next blocking point if it is
// busy, a *[TaskletExit] is raised as a panic, so that deferred calls run; one that owns no stack
// just ends. A body may recover it and go on: that is logged. A parent that stops a child waits for
// it as long as [Shutdown] says; then the kill becomes hard, and is raised at every blocking point.
// A second later the child is given up: detached, and named in the log and in the error of Run or
// Stop. A tasklet inside [Await] has its function's context cancelled, and unwinds when that has
// returned.
//
// # Failure
//
// What a body returns, or panics with, is its result. [Tasklet.Join] gives nil for an end that is
// no failure (nil, [ErrStop], [ErrShutdown]), else a *[JoinError]. A failed child does not end its
// parent, but is never silent: each failed end is one entry in the log. With [OnFailure] it ends
// its parent as well. Bodies that are called again and again go on after the failure of one call,
// and log it, unless OnFailure says otherwise. Package supervisor starts failed tasklets again.
//
// # Contexts
//
// A *Tasklet is a [context.Context], and every blocking call takes one: it says who calls, and how
// long it may take. Inside a tasklet that is the tasklet itself, or what was derived from it;
// [WithTimeout] derives on the clock of the system, without a goroutine. Ordinary goroutines use
// any other context, an HTTP handler that of its request: a client that goes away ends the call. A
// tasklet's context may be used only inside it; code that runs elsewhere on its behalf gets one
// from [Await] or [Pipe].
//
// # What parks
//
// These calls park the tasklet that makes them; the others run meanwhile: [Tasklet.Sleep],
// [Tasklet.Yield]; [Ref.Send] when there is no room; [Call]; the Joins; [Await]; [StartChild] and
// [StopChild]; the reading calls of package mailbox; Chan, Mutex, Semaphore, Event and WaitGroup of
// package scheduler; the connections of package netio. They are blocking points. If a wait could
// never end, because those waited for wait for the caller, it is refused with a *[DeadlockError].
//
// Nothing else parks. A Go channel, a sync.Mutex, time.Sleep, a system call or a long computation
// holds up all tasklets of the scheduler: do it in Await. Who holds the scheduler for too long is
// named in the log, with its stack. The cure for each case is in docs/blocking.md.
//
// # Several schedulers
//
// With Config.Schedulers a system has several, each on a goroutine of its own: so it uses several
// processors. A child runs where its parent does, unless it is started with [OnScheduler] or
// [Spread]; a ref never moves. Everything works between them as within one: sends in order and
// within the bound, calls, joins, kills, watches, restarts, the stop of the tree in reverse order.
// What differs:
//
//   - Tasklets of different schedulers run at the same time. They share no memory but what messages
//     carry, and no Chan or Mutex.
//   - A message to another scheduler costs a lock, and perhaps a wake-up there: about as much as
//     one through a buffered channel.
//   - A ring of waits over several schedulers is found a second or two after it formed, not before;
//     then the youngest of the waits from one scheduler to another is refused.
//   - Between two schedulers, who sees first what happened at the same time is left to the machine:
//     a seed does not repeat it. With a virtual clock they have one time, which goes on when nobody
//     is ready on any of them.
//
// # What is promised
//
//   - One at a time, on each scheduler; first come first served, among the ready and in every line.
//   - A mailbox never holds more than its capacity, and nothing is lost in silence.
//   - A tasklet is finished only when its children are. Joiners of one that has finished get its
//     result, however many they are.
//   - A late reply never reaches a newer call.
//   - With a virtual clock (scheduler.NewVirtualClock), a seed and one scheduler, the same program
//     runs in the same way.
//   - When Run or Stop has returned without a *[StopError], no goroutine of the system is left.
//
// The cases that one would have to guess at are 39 numbered rules in docs/semantics.md; tests name
// the rule that they check.
//
// # What is not
//
//   - Tasklets of a scheduler don't run in parallel. What needs more than one processor is done in
//     Await, or on several schedulers. No tasklet moves from one to another.
//   - No tasklet is interrupted: one that never blocks keeps everybody else on its scheduler from
//     running. It is named, and Stop returns, but nothing can remove it.
//   - A reply may be lost with its tasklet after the request was handled. A call that timed out may
//     still be carried out.
//   - Refs are addresses in one process.
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
//		return err                     // and the counter is stopped with its parent
//	})
package actor
