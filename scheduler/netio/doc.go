// Package netio provides network connections for tasklets. A call that has to wait parks the
// tasklet that made it, and the other tasklets of its scheduler continue.
//
// In this package, "task" means the running tasklet; netio itself uses only the scheduler's view of
// it.
//
// # Connections
//
// [Dial], [Listen] and [ListenPacket] correspond to the functions of package net, and [Wrap] makes
// a connection of any net.Conn. They take the context of the running tasklet. They return a [Conn],
// a [Listener] or a [PacketConn], which implement net.Conn, net.Listener and net.PacketConn, with
// the errors of package net. Use them wherever such a value is wanted: io.Copy, bufio,
// encoding/json, net/textproto, crypto/tls. Conn passes golang.org/x/net/nettest.TestConn (folder
// conformance).
//
// The following calls can park, and are blocking points whether or not they have to wait:
//
//   - [Conn.Read], [Conn.Write], [PacketConn.ReadFrom], [PacketConn.WriteTo], [Listener.Accept] and
//     [Listener.All];
//   - [Dial], [Listen] and [ListenPacket].
//
// A server accepts in a loop over [Listener.All], which continues after temporary errors. A loop
// that ends at the first error of Accept ends as soon as the process has too many open files.
//
// Close, CloseRead, CloseWrite and the SetDeadline methods never park, and may be called from any
// goroutine.
//
// Two tasks may use a connection at the same time, one to read and one to write. The calls in one
// direction are made one after the other, so the bytes of two Writes never mix. A task whose calls
// never have to wait yields to the other ready tasks at every 16th call.
//
// # Callers
//
// A connection belongs to the scheduler of the context that it was made with. Its methods take no
// context. They find out from the functions on the caller's stack whether a task of that scheduler
// makes the call, and are never wrong about it.
//
//   - A task of that scheduler parks.
//   - An ordinary goroutine blocks, as with package net. This includes goroutines that a task has
//     started with go or iter.Pull; a task that drives such an iterator blocks its scheduler while
//     the iterator waits.
//   - A task of another scheduler must not wait. A call that would have to wait panics. Use Wrap to
//     make a connection of its own for it.
//
// # Deadlines, kills, ends
//
// Deadlines use the real clock, because the other end does. A virtual clock stands still while a
// task waits for a connection.
//
// A task that is killed unwinds at once from any of these calls. Other tasks can still use the
// connection:
//
//   - Read and ReadFrom have taken no data. If data arrived at that very moment, the call returns
//     it, and the kill is raised at the next blocking point.
//   - Write may have written a part of the data, and it is unknown how much. Close the connection.
//   - Accept and Dial leave no connection open. If a connection was made at that very moment, the
//     call returns it, and the kill is raised at the next blocking point.
//
// When the scheduler stops, all waiting tasks unwind, and none of the package's goroutines is left
// when its Run returns. Neither the end of the scheduler nor the end of a task closes a connection:
// use defer.
//
// # How a call waits
//
// A call on a TCP connection, a Unix stream socket or a UDP socket is first tried on the
// descriptor. If it would block on Linux, the task parks until the scheduler's poller reports that
// the call is worth another try. The poller is one goroutine and one epoll descriptor for all
// connections of a scheduler.
//
// On other systems, for other kinds of connections, and for Accept and Dial, a helper makes the
// whole call. A helper is a goroutine from a pool of the scheduler, at most one for each waiting
// call. It uses the caller's buffer until its call has returned. A kill interrupts the helper by
// setting a deadline that has passed, or by Close if the connection has no deadlines.
//
// # Locks of other packages
//
// A task that parks keeps the sync.Mutexes that it has locked. If another task of the same
// scheduler locks one of these, it blocks the scheduler, and the task that could unlock the mutex
// never runs. Only the stall watchdog reports this deadlock. It concerns libraries that hold a
// mutex across a Read or Write of a connection. Let only one task use each such lock: for example,
// one tasklet that writes, to which the others send.
//
// A tls.Conn has one lock for each direction, and one for the handshake. (Tests show the first two
// cases.)
//
//   - Safe: one task reads and one task writes, once the handshake is complete. Close is safe from
//     any task.
//   - Not safe: a first Read in one task and a first Write in another, because both start the
//     handshake. Call HandshakeContext first.
//   - Not safe: two tasks that write, or two that read.
//   - Not safe: a reader that answers. A tls.Conn answers a peer's request for new keys (TLS 1.3),
//     and some errors, from within Read. If the writer is parked in Write at that time, the
//     scheduler is blocked. Peers written in Go never send such a request.
//
// An ordinary goroutine may hold any lock across a call of a connection: it blocks, and the tasks
// continue.
package netio
