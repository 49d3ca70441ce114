// Package stats has the numbers of a running system for metrics, such as those of Prometheus or
// OpenTelemetry. [Read] returns the counters of a whole system, and [Of] the times of one tasklet.
// Both may be called from any goroutine and wait for no tasklet, not even for one that holds its
// scheduler.
//
//	sys, err := actor.Start(actor.Config{Measure: true})
//	...
//	s := stats.Read(sys)
//	fmt.Println(s.Started, s.Ended[reason.Panic], s.Events[supervisor.EventRestart])
//	for _, k := range s.Kinds {
//		fmt.Println(k.Name, k.Calls, k.Handler.Quantile(0.99))
//	}
//
// Counters only grow as long as the system lives, also when tasklets end and are started again. The
// times need Config.Measure. Each number is read by itself, so two numbers may be of different
// moments, and may be a little old.
//
// # Times of handlers
//
// The time of a call begins when the handler is called, and ends when it has returned or panicked.
// A handler that parks in the middle, as in a Call or a Sleep, counts with its whole time, although
// its scheduler is free for others during the wait. Hooks count as a part of the handler. A call of
// a BatchReceiver is a call for a whole batch. Tasklets without a handler that is called repeatedly
// are not measured; these are the ones that Config.Around does not apply to.
//
// Reading the clock twice costs as much as sending a message. So of calls that take less than 4 µs
// only a part is measured: one in a block of up to 64, at random, which counts as often as the
// block has calls. The size of the block depends on the time of the call that was measured before.
// Counts and sums are right on average, and a rare slow call among fast ones may be missed by Max.
// With a virtual clock all calls are measured.
//
// # Times in the mailbox
//
// The time of a message in the mailbox begins when the send puts it there, from whatever goroutine,
// and ends when the tasklet takes it. The wait of a sender for room in a full mailbox does not
// count, and neither does a message that is dropped, taken back, or put back to be handled again.
// All mailboxes are measured, also those of tasklets without a handler. If more than one message
// comes in 32 µs, only a part is measured: one in a block of up to 256, as for calls. The first
// messages of a ref that no tasklet has read yet are not measured.
//
// The times are kept in a histogram whose buckets are at most half as wide as their lower limit.
package stats
