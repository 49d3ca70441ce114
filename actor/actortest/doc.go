// Package actortest tests programs that are made of tasklets. They run on a virtual clock, and a
// test also fails for defects that are easily overlooked, such as unread messages. A run can be
// explored and replayed from its seed.
//
// # Run
//
// [Run] runs a function as the root of a system. An hour of sleep takes no time, and the run is the
// same every time. The test fails on panics, dead letters, deadlocks, stalls, and if anything is
// left running at the end. Package require and testing.TB.FailNow may be used in every tasklet.
//
// # Probe
//
// A [Probe] takes the place of a part of the program. It has a ref, and keeps the messages that it
// receives until the test asks for them. Its Expect methods wait on the virtual clock. [Settle]
// waits until nothing more can happen without time passing.
//
// # Explore
//
// The seed of a run determines which of the ready tasklets runs next, so another seed is another
// run. [Explore] tries many seeds. All choices and faults of a run come from its seed, so a failing
// run can be replayed:
//
//	go test -run '^TestTransfer$' ./bank -actortest.seed=0x2a:17,40
//
// Before Explore prints this command it shrinks the run. The numbers after the colon are the
// decisions that the failure needs. With [Faults], Explore also kills waiting tasklets, makes
// handlers panic, fills mailboxes and delays timers, until [Calm] ends the faults.
//
// # Trace
//
// A [Trace] has the events of a run as text. The same seed produces the same text, byte for byte,
// on any number of processors. This holds for one scheduler, and as long as the program does not
// depend on the machine: on ordinary goroutines that send by themselves, on the time of day, or on
// the order of a map.
//
// # Golden
//
// [Golden] runs files of commands, and compares everything that happens with the text in the files:
// the events, and the lines that receivers print. With the flag -actortest.rewrite it rewrites the
// files.
//
// # Which to use
//
// Use Run to test expected behaviour, Explore to test an invariant in every order, and Golden to
// test everything that happens. Run and Explore work inside a testing/synctest bubble, which is
// needed only if ordinary goroutines of the program sleep. docs/testing.md has examples.
//
// # What is not guaranteed
//
// Explore varies the order of tasklets, not that of goroutines, and only where tasklets wait, since
// no other tasklet runs in between. It samples: n seeds without a failure prove nothing about other
// seeds.
package actortest
