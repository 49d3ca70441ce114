// Package registry finds tasklets by name, and collects them in groups.
//
// A [Registry] belongs to one system; [Of] returns it. A name stands for a ref. [Register] or the
// option [As] adds a name with the message type of its ref, [Lookup] returns the ref with the same
// type, and [WaitFor] waits until the name is registered. A name is removed automatically when the
// tasklet of its ref has ended permanently. It survives restarts by a supervisor.
//
// A [Group] is a set of refs with one message type, in the order in which they joined.
// [Group.Broadcast] sends to all members and reports the result for each. [Group.Next],
// [Group.LeastLoaded] and [Group.ForKey] choose one member. Members are removed automatically, as
// names are.
//
// All functions and methods may be called from any goroutine. Looking up a name takes no lock, and
// choosing a member takes one only after the members have changed. A tasklet shows its names and
// groups in its labels name= and groups=; if it has more than eight, the label shows their number.
// Every change is reported by an event, in order.
//
// # Permanent ends
//
// An unsupervised tasklet has ended permanently when it has finished. Its names and memberships are
// removed before a join of it returns. A supervised tasklet has ended permanently when its
// supervisor will not start it again: a temporary child has ended, its specification was deleted,
// or the supervisor has ended. Names and memberships remain until then, also while the child is
// stopped or waits for a restart.
//
// # What is guaranteed
//
// A name has one owner at a time. The ref that Lookup returns was the owner at some moment of the
// call. It may have ended when it is used, and a send then returns mailbox.ErrClosed. A broadcast
// goes to those refs that were members when it began. The guarantees are those that a directory
// shared by several machines could keep too; see docs/registry.md.
package registry
