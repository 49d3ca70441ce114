// Package natsnet carries frames of a node over NATS, and keeps the directory of the cluster in a
// bucket of JetStream. It knows nothing of nodes and tasklets: package cluster makes its Transport
// and Directory of it.
//
// # Frames
//
// A node publishes to <prefix>.<namespace>.n.<to>.<from> and has one subscription for
// <prefix>.<namespace>.n.<itself>.*, so that a server can enforce who speaks, see package embedded.
// What can't be sent at once is lost, as the node expects: nothing is buffered while there is no
// connection.
//
// # Directory
//
// A key is a message of the stream KV_<prefix>-<namespace>; its Token is the number of the message,
// and when the stream was made. Every write says which message it expects to be the last one of the
// key. Keys with a time to live are renewed by writing them, since updates of a bucket would make
// them permanent. Reads ask the leader, because a replica may be behind. A leader that was stopped
// for some seconds and goes on answers as of before, until it learns that there is another one;
// writes find that out, since they say which message they expect.
//
// What a node does here was tried against servers that were killed and stopped.
// The two connections have names, FRAMES/<node> and DIRECTORY/<node>, by which an
// embedded server puts them into accounts of their own.
package natsnet
