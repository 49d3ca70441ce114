// Package tree shows the present state of a system: a row for each tasklet, as values, as text for
// a terminal, as an entry of the log, or on a signal.
//
//	supervision tree  system=app tasklets=3 restarts=1 stalled=0 restarting=1 full=1
//	shop                   supervisor  one_for_one        up 30s  restarts 0/1 in 5s
//	├─ feed    RESTARTING  task        restarting in 50s  last: connection refused (10s ago)
//	├─ worker              receiver    sleeping 59m30s    mailbox 2/2 FULL for 30s  1 waiting to send  handled 1
//	└─ mailer              receiver    parked 30s in send to /app/shop/worker  mailbox 4/8 peak 8  handled 4
//
// [Snapshot] returns the rows, [Write] writes the text, [Log] writes one entry that fits the
// logger's encoder, and [OnSignal] does so whenever the process gets a signal. Spec.LogEvery of
// package supervisor writes an entry periodically. All of them may be called from any goroutine.
// They wait for no tasklet, so they work while a tasklet holds its scheduler, when a tree is most
// useful. Nothing is stopped for a tree, so each row shows its tasklet at a moment of its own.
//
// # The rows
//
// There is a row for each tasklet below the requested one, parents before their children, and
// children in order of start. An actor.Slot has a row in its place even while it is empty, because
// its child is stopped or waits for a restart. So children of supervisors do not disappear. Below
// the root of a system its daemons come last.
//
// # Reading a line
//
// A line has, from left to right: the name, behind the branch that leads to it; a word in capitals
// if the row needs attention; the kind; the state, or the strategy of a supervisor; and then
// further facts. Look for capitals.
//
//	STALLED     it holds its scheduler: no other tasklet there can run
//	RESTARTING  it has ended, and will be started again
//	RESTARTED   it failed and was started again a short time ago
//	FULL        its mailbox has no room
//
// The state is one of the eleven values of [State]. It has the time that it has lasted, "parked
// 30s", or will last, "restarting in 50s". docs/supervision.md explains each word.
//
// A tree of more than [MaxRows] lines is folded: a line at the end counts the rows that are not
// shown below a row, "(+897 more under front/sessions, all idle)". Rows that need attention are
// shown first, then those high in the tree. The idle children of a pool are always folded if there
// are several. An entry of [Log] is folded further, so that it has at most 8 KiB.
//
// Names, labels and errors may come from a program's input. None of them can break a line, add one,
// or look like another cell: characters that cannot be printed, the characters of branches and
// double spaces are escaped as in a Go string.
//
// # Other supervisors
//
// Any tasklet may keep its children in slots. They are then shown with their restarts, the time
// until the next restart and their last failure, like those of package supervisor. Facts that only
// the supervisor knows, such as its strategy and the number of restarts that it allows, come from
// the interface [Supervisor], which has one method; its tasklet calls [Register]. Package
// supervisor does the same. A program that keeps its children in another way describes them there,
// too.
//
// The method belongs to the program, and may fail. If it panics, blocks or reports a tasklet that
// is not a child, the supervisor's row says so, and the tree shows the facts that it has without
// the supervisor.
//
// # What is not guaranteed
//
// Two rows may show different moments: a message that one tasklet has sent need not be in the
// mailbox of the other. A tree is for people and for the log. A program that has to make a decision
// asks the supervisor, or joins and watches the tasklets.
package tree
