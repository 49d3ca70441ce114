// Package cluster joins the systems of several processes and machines into one: a tasklet finds
// another one by name on any of them, sends to it, calls it, watches it and joins it through an
// ordinary actor.Ref.
//
// [Join] makes a system, or a tasklet with all below it, a node. [Claim] gives a name in the whole
// cluster to a ref of the node, and [Find] and [WaitFor] return a ref to the owner of a name,
// wherever it lives. [Type] and [Error] give types of messages and errors their names on the wire.
//
//	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "shop-1", Connect: connector})
//	claim, err := cluster.Claim(ctx, node, "account/42", ref)       // on one node
//	account, err := cluster.Find[Deposit](ctx, node, "account/42") // on another one
//	err = account.Send(t, Deposit{Amount: 5})
//
// A [Group] has refs of all nodes under one name, for broadcasts, turns, and one ref for each key.
// A [Singleton] is a tasklet that runs on one node at a time. [Sharded] spreads entities, one
// tasklet for each key, over the nodes.
//
// # What is here and what is not
//
// [NATS] and package embedded connect the nodes; package clustertest simulates the network between
// them. The package was tried in simulation, and with processes and servers on one machine that are
// killed and stopped under load, and not yet on several machines: do not rely on it in production.
// Refs that came in messages are held until their tasklet or their node has ended.
//
// # Membership
//
// A node has a session in the directory, which ends if it is not renewed for Config.TTL. Then the
// node is lost for the others. If it lives it is shut out ([ErrShutOut]): its refs to other nodes
// end, what it has claimed is lost, and it joins anew as another incarnation, in the same [Node].
// Refs to its own tasklets stay as they are. [Node.Suspects] are those from which nothing has come
// for 3 s; that has no other effect.
//
// [Node.Links] says what a node knows of the others: state, unconfirmed messages, refs whose
// mailbox over there is full, traffic. Trees show the same in the rows below (cluster).
//
// If the directory does not answer, nothing can be claimed ([ErrNoQuorum]), and after four fifths
// of Config.TTL what was claimed must be given up: [Claimed.Err]. Messages go on as before. A node
// whose session still lives when the directory answers again stays the member that it was.
//
// # Refs to another node
//
// A ref to a tasklet on another node has its mailbox here. An outbox reads it, a tasklet of the
// node that passes the messages on; it is in the tree below (cluster) and the name of the other
// node. So [actor.Ref.TrySend], Len and Cap speak of the outbox. When the mailbox over there is
// full, the outbox gets no more credits, its mailbox fills, and senders park. Other refs are not
// affected.
//
// The outbox lives over restarts of the tasklet. It ends as the tasklet has ended when no restart
// is to come, and with a *[NodeError] when the node is lost; so Join and Watch of the ref hold.
// Then the ref is dead here, also if a supervisor starts the tasklet again: Find returns a new one.
// An error comes as a *[RemoteError], also that of a panic, and a kill comes without its cause.
// [actor.WatchLineage] tells of the outbox only, which has one incarnation.
//
// Close and Kill are sent to the tasklet, Close after the messages that are queued here. What is
// sent until the end is known here is handled, or is a dead letter. A link ([actor.Link]) with the
// ref is one with the tasklet, over its restarts.
//
// The outbox is there while the ref is used: from the first message, or the first wait for the end
// of the ref, until it was not used for some seconds. Otherwise [actor.Ref.Tasklet] is nil. A ref
// that nobody on this node has any more is forgotten on both nodes, except one that was passed on
// to a third node, which stays as long as the tasklet.
//
// # Replies and refs in messages
//
// An [actor.Reply] or an [actor.Ref] in a message answers and sends to where it came from, also if
// it is passed on to a third node: what is sent then goes the way back through the second one. A
// ref that comes back to its own node is the ref that it was. A call ends with the answer, the
// error of the handler, actor.ErrNoReply, or a *[NodeError] when the node is lost or has been
// silent for 4 s ([ErrSilent]); it is never sent twice. If the caller gives up, Awaited becomes
// false there.
//
// # One at a time
//
// Singletons and shards stand on claims. When a node is lost, others have its names after
// Config.TTL and at most a second. When it lives but can't renew its session, it kills what hangs
// on its claims a fifth of Config.TTL before. What neither a lease nor anything else can promise:
// that a process that was stopped, or a handler that keeps its scheduler, does not act afterwards.
// The token of the claim is the cure.
//
// # What is guaranteed
//
// While both nodes live and are members, a message that Send has accepted reaches the mailbox once,
// in the order of its sender, over losses and cuts of the network. When a node is lost, what it has
// not confirmed is an event dead_letter, with the reason "undelivered", or "unknown" if it may have
// been handled; a call ends with an error. A message that can't be encoded is a dead letter with
// the reason "encoding", or the error of its call (*[EncodingError]). A message that came and is
// for no mailbox is a dead letter on the node where it came: "closed", "full" or "refused".
//
// A name has one owner at a time, as far as owners look at [Claimed.Err] before they act. A node
// that was stopped between the look and the act may act too late. [Claimed] has a token that grows
// with each owner; whoever guards something outside refuses a token that is less than one that it
// has seen.
//
// # What is not guaranteed
//
// Calls that wait for each other in a ring over several nodes are not refused: nobody knows what
// the tasklets of another node wait for. Give such calls a limit.
//
// The notice of the end of a tasklet on another node may come before messages that it has sent to
// refs of this node. Each of these waits for room by itself, and the notice waits for none of them.
//
// A message that was confirmed is lost with the node that it is queued on, as in any process that
// ends. A reply that a tasklet has passed on in a message, and not delegated, is the concern of
// those tasklets, as at home: if the message is lost, nobody answers.
//
// Time is that of the node's system. The bounds are those of package internal/wire: a target has at
// most 4,096 messages under way, and all targets of a peer together 16 MiB; a message has at most
// 256 KiB. A full mailbox holds up nobody who sends to another one.
package cluster
