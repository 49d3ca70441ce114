// Package registry finds tasklets by name, and gathers them in groups.
//
// A [Registry] belongs to one system ([Of]). A name in it stands for a ref: [Register] or the option [As] puts it there with its
// message type, [Lookup] gives it back with the same type, [WaitFor] waits until it is there. The name goes by itself when the
// ref's tasklet has ended for good; over restarts by a supervisor it stays.
//
// A [Group] is a set of refs with one message type, in the order in which they joined. [Group.Broadcast] sends to all and accounts
// for each; [Group.Next], [Group.LeastLoaded] and [Group.ForKey] choose one. Members leave by themselves as names do.
//
// Everything may be called from any goroutine. Looking up and choosing take no lock.
//
// # What is promised
//
// A name has one owner at a time. What Lookup gives was the owner at some moment of the call; it may have ended when it is used, and
// then a send says so with mailbox.ErrClosed. A broadcast goes to those that were members when it began. Nothing here promises
// more than a directory shared by several machines could.
package registry
