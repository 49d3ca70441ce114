// Package registry finds tasklets by name, and gathers them in groups.
//
// A [Registry] belongs to one system ([Of]). A name in it stands for a ref: [Register] or the
// option [As] puts it there with its message type, [Lookup] gives it back with the same type,
// [WaitFor] waits until it is there. The name goes by itself when the ref's tasklet has ended for
// good; over restarts by a supervisor it stays.
//
// A [Group] is a set of refs with one message type, in the order in which they joined.
// [Group.Broadcast] sends to all and accounts for each; [Group.Next], [Group.LeastLoaded] and
// [Group.ForKey] choose one. Members leave by themselves as names do.
//
// Everything may be called from any goroutine. Looking up takes no lock, choosing only after
// members have come or gone. The labels name= and groups= of a tasklet say what it has, of more
// than eight just how many, and events tell of each change in order.
//
// # For good
//
// An unsupervised tasklet has ended for good when it has finished: names and memberships are gone
// before anybody who joins it goes on. For a supervised one it is when its supervisor gives it up:
// a temporary child that has ended, a specification that was deleted, the end of the supervisor.
// Until then, also while it waits for a restart or is stopped, name and memberships stay.
//
// # What is promised
//
// A name has one owner at a time. What Lookup gives was the owner at some moment of the call; it
// may have ended when it is used, and then a send says so with mailbox.ErrClosed. A broadcast goes
// to those that were members when it began. Nothing here promises more than a directory shared by
// several machines could: see docs/registry.md.
package registry
