// Package netio has network connections for tasks, and so for tasklets: a call that has to wait
// parks the task that made it, and the others on its scheduler go on.
//
// # Connections
//
// [Dial], [Listen] and [ListenPacket] are those of package net, and [Wrap] makes a connection of
// any net.Conn. They take the context of the running task (in package actor: the tasklet). What
// they give is a [Conn], a [Listener] or a [PacketConn]: a real net.Conn, net.Listener,
// net.PacketConn, with the errors of package net, that goes wherever one is wanted: io.Copy, bufio,
// encoding/json, net/textproto, crypto/tls. golang.org/x/net/nettest.TestConn passes (folder
// conformance).
//
// These calls park, and are blocking points, whether they have to wait or not:
//
//   - [Conn.Read], [Conn.Write], [PacketConn.ReadFrom], [PacketConn.WriteTo], [Listener.Accept] and
//     [Listener.All];
//   - [Dial], [Listen] and [ListenPacket].
//
// A server accepts in a loop over [Listener.All], which goes on after errors that pass. A loop that
// ends at the first error of Accept ends when the process has too many open files for a moment.
//
// Close, CloseRead, CloseWrite and the SetDeadlines don't, and may be called from any goroutine.
// Two tasks may use one connection at the same time, one to read and one to write; calls of one
// direction are made one after the other, so that no Write has another in it. Who never has to wait
// gives way after every 16th call.
//
// # Who calls
//
// A connection belongs to the scheduler of the context that it was made with. Its methods have no
// context; they find out whether a task of that scheduler calls, by the functions on the caller's
// stack (scheduler.Here), and are never wrong about it.
//
//   - A task of that scheduler parks.
//   - An ordinary goroutine blocks, as with package net; also one that a task has started with go
//     or iter.Pull. (What a task calls in an iterator that it drives with iter.Pull blocks its
//     scheduler.)
//   - A task of another scheduler must not wait: it panics when it would have to. Wrap gives it a
//     connection of its own.
//
// # Deadlines, kills, ends
//
// Deadlines go by the real clock, since the other end does. While a task waits for a connection, a
// virtual clock stands still.
//
// A task that is killed unwinds at once from each of these calls, and the connection is as usable
// as before for others:
//
//   - Read and ReadFrom have taken nothing then. What a helper has read at that very moment is
//     returned instead of being lost, and the kill is raised at the next blocking point.
//   - Write may have written a part. Nobody knows how much: close the connection.
//   - Accept and Dial leave nothing open. What came at that very moment is returned, and the kill
//     raised at the next blocking point.
//
// When the scheduler stops, all that wait unwind, and no goroutine is left behind when its Run
// returns. Connections are not closed by that, nor by the end of a task: use defer.
//
// # How it waits
//
// A call on a TCP connection, a unix stream or a UDP socket is first tried on the descriptor. If it
// would block, then on Linux the task parks until the scheduler's poller says that it is worth
// another try: one goroutine and one epoll descriptor for all connections of a scheduler.
// Elsewhere, for other kinds of connections, for Accept and Dial, a helper makes the whole call: a
// goroutine of a pool of the scheduler's, at most one for each call that waits. A helper has the
// caller's buffer until its call has returned; a kill interrupts it by a deadline that has passed,
// and if the connection has no deadlines by Close.
//
// # Mutexes of others
//
// Who parks keeps the sync.Mutexes that it has locked. If another task of the same scheduler wants
// one of them, it blocks the scheduler, with the one in it who could unlock: a deadlock that nobody
// can end, and that only the stall watchdog reports. This concerns libraries that hold a mutex
// across a Read or Write of the connection they were given. Give each such lock one task: for
// example one tasklet that writes, and that the others send to.
//
// A tls.Conn has one lock for each direction, and one for the handshake. (Tests show the first
// two.)
//
//   - safe: one task reads and one task writes, once the handshake is over; Close, from any;
//   - not safe: a first Read in one task and a first Write in another. Both want to make the
//     handshake. Call HandshakeContext first;
//   - not safe: two tasks that write, or two that read;
//   - not safe: a reader that answers. A tls.Conn answers a peer's request for new keys (TLS 1.3),
//     and some errors, from within Read. If the writer is parked in Write then, the scheduler is
//     blocked. Peers written in Go never send such a request.
//
// An ordinary goroutine may hold any lock across a call of a connection: it blocks, and the tasks
// go on.
package netio
