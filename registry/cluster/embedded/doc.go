// Package embedded runs a NATS server in this process, for the nodes of a cluster: on one machine,
// in tests, and as one of 3 or 5 fixed seeds. Programs that have NATS already use cluster.NATS and
// need none of this.
//
// # One machine
//
// With the zero Config nobody outside of the process can connect. With Listen on the loopback,
// processes of the same machine can, without credentials; whoever may run programs on the machine
// is trusted then. Give Nodes, and only those are let in.
//
// # Several machines
//
// Seeds are the addresses of 3 or 5 servers, of which this process runs one; the directory of the
// cluster is replicated among them and works as long as a majority of them does. Other processes
// run no server and connect to the seeds.
//
// # Who gets in
//
// Off the loopback there is no connection without TLS and credentials, unless Config.Insecure says
// so: Start returns an error. A node's credentials are an nkey, an Ed25519 key pair: Config.Nodes
// has the public key of each node by name, and the node alone has its seed. The server lets a node
//
//   - send frames in its own name only: it publishes to <prefix>.<namespace>.n.<to>.<its name>;
//   - read frames that are for it only;
//   - read the directory, write names and memberships of groups, and write its own session and no
//     other one.
//
// Frames and the directory are in different accounts of NATS, because what a consumer of a stream
// delivers is published by the server: in one account a node could let it speak for another one.
// Once a node is let in it is trusted with names and groups: it removes those of a node that is
// lost. A lease is an agreement, not a wall.
package embedded
