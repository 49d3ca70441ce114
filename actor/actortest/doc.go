// Package actortest is for tests of programs made of tasklets: they run on a virtual clock, fail
// for what is easily overlooked, and can be explored and repeated, seed by seed.
//
// # Run
//
// [Run] runs a function as the root of a system. An hour of sleep takes no time, the run is the
// same every time, and the test fails on panics, dead letters, deadlocks, stalls, and on whatever
// is left when all should have stopped. Package require and testing.TB.FailNow may be used in every
// tasklet.
//
// # Probe
//
// A [Probe] stands where a part of the program would: it has a ref, and keeps what it gets until
// the test asks for it. Its Expect functions wait on the virtual clock. [Settle] lets everything
// happen that can happen without time going on.
//
// # Explore
//
// Which of the ready tasklets is the next is drawn from a seed, so another seed is another run.
// [Explore] tries many. Of each call outside, of each fault, of each choice it is known what was
// drawn, so a run that fails can be had again:
//
//	go test -run '^TestTransfer$' ./bank -actortest.seed=0x2a:17,40
//
// and it is made smaller before it is shown: the numbers after the colon are the decisions that it
// takes. With [Faults], tasklets are killed where they wait, handlers panic, mailboxes are full,
// timers late, as the seed wants, until [Calm] ends that.
//
// # Trace
//
// A [Trace] has the events of a run as text. The same seed gives the same text, byte for byte, on
// any number of processors: with one scheduler, and as long as nothing in the program depends on
// the machine: on ordinary goroutines that send by themselves, on the time of day, on the order of
// a map.
//
// # Golden
//
// [Golden] plays files of commands, and compares all that happens because of them with what the
// files say: events, and what the receivers of the file print. With the flag -actortest.rewrite it
// writes the files anew.
//
// # Which one
//
// Use Run for what shall happen, Explore for what must not happen in whatever order, Golden for all
// that happens. Run and Explore work inside of a bubble of testing/synctest, which is for programs
// whose ordinary goroutines sleep as well; without such goroutines it is not needed.
// docs/testing.md has examples.
//
// # What it does not do
//
// It explores the order of tasklets, not that of goroutines, and of tasklets only where they wait:
// in between nobody else runs anyway. It draws; that n seeds went well proves nothing about the
// others.
package actortest
