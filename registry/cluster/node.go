package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

// Config configures a node.
type Config struct {
	// Name is the name of the node, which no other node of the cluster has at the same time. It
	// consists of letters, digits, '-' and '_', and has at most 64 bytes.
	Name string
	// Connect connects the node with the others.
	Connect Connector
	// Labels are shown to the other nodes, in Member. Keys and values have at most 16 KiB together.
	Labels map[string]string
	// TTL is how long the session of the node outlives its last renewal: after so long without one
	// the node is lost. The default is 15 s. It is rounded up to whole seconds.
	TTL time.Duration

	types *codec.Types // nil for those of the program; tests have others
}

// Member is a node of the cluster.
type Member struct {
	Name        string
	Incarnation uuid.UUID // another one for each Join
	Labels      map[string]string
	Since       time.Time // of the Join, by the clock of that node
}

// Node is a node of a cluster in this process. Use [Join] to get one. Methods may be called from
// any goroutine.
type Node struct {
	// Set in Join or in the init of its tasklet, then read-only.
	sys    *actor.System
	cfg    Config
	ref    actor.Ref[nodeMsg]
	clerk  actor.Ref[clerkMsg]
	t      *actor.Tasklet
	tr     Transport
	dir    Directory
	made   time.Time // the begin of clock
	inside bool      // it is below a tasklet, and may be one of several nodes of the system
	meter  *meter    // of the system

	// self is the present incarnation. Atomic: the node's tasklet sets it when it joins anew.
	self atomic.Pointer[Member]
	// until is the end of the lease, as a clock. Atomic: set by the node's tasklet.
	until atomic.Int64

	// names maps a name to a claim of the directory, as far as it is known here. It is written by
	// the node's tasklet, and read without a lock.
	names sync.Map
	// barred says that Join has found the session of another node with the name. Atomic: written in
	// the node's tasklet, and read by Join when that ends early.
	barred atomic.Bool
	// gone is why the node is no member now, or nil. Atomic: set by the node's tasklet.
	gone atomic.Pointer[NodeError]

	// version grows with each change of members and groups. Atomic.
	version atomic.Uint64

	// mu protects the following, and link.imports. Find, Claim and the transport use them from any
	// goroutine.
	mu         sync.Mutex
	links      map[string]*link   // by the name of the peer
	fallen     map[string]*fallen // of those that are down, by the name of the peer
	exports    map[uint64]*export
	exportOf   map[far.Ref]*export
	lastExport uint64
	claims     map[string]*Claimed     // that are held, by name
	held       [claimKinds]int         // the numbers of these by kind
	claiming   map[claiming]int        // calls that are about to claim
	groups     map[string]*memberships // of the other nodes, by name

	// The memberships of this node, by group, their number, and how often they have changed.
	mine        map[string][]membership
	mineCount   int
	mineVersion uint64

	// Owned by the node's tasklet.
	waiting  map[string][]actor.Reply[struct{}] // calls of WaitFor, by name
	sessions map[string]session                 // of the other nodes, by name
	latest   map[string]*link                   // the last link to each node that has not ended
	strays   map[string]*int                    // how often to look for such a claim, by name
	litter   bool                               // a lost node may have left something behind
	leavers  []actor.Reply[struct{}]            // calls of Leave
	leaver   *actor.Tasklet                     // which carries them out, or nil
	answered bool                               // by leaver
}

// export is a ref of this node that others can send to.
type export struct {
	id  uint64
	ref far.Ref

	unwatch func() // ends what was arranged for the end of ref, or nil; Node.mu protects it
}

// nodeMsg is a message to the tasklet of a node. Which field is set says what it is.
type nodeMsg struct {
	own.Mark
	change *Change
	wait   *waitFor
	down   error         // the session has ended
	joined *joined       // another one has begun
	until  time.Duration // the lease was renewed
	lapse  bool          // a lease may be over
	leave  *actor.Reply[struct{}]
	left   bool // the node may end
	lost   *Claimed
	stray  string // a name that may have a claim of this node that nobody knows of
}

type waitFor struct {
	name  string
	reply actor.Reply[struct{}]
}

const nodePrefix, namePrefix = "node/", "name/"

// joinAttempts is how often Join tries to write its session, each time as another incarnation.
const joinAttempts = 10

// Join makes p, a *actor.System or a tasklet, a node of the cluster, and returns when the others
// can find it. Under a system the node is a daemon; under a tasklet it ends with that, so that
// several nodes can live in one system, in tests for example.
//
// If another node has the name, Join waits until that node's session has ended, as long as ctx
// allows. It returns the errors of Config.Connect, and of a directory that has not answered ten
// times. It parks the caller, which must be inside p if p is a tasklet. Join panics if cfg is not
// valid.
func Join(ctx context.Context, p actor.Spawner, cfg Config) (*Node, error) {
	switch {
	case ctx == nil || p == nil:
		misuse("Join with a nil context or Spawner")
	case cfg.Connect == nil:
		misuse("Join with a nil Config.Connect")
	case !validNode(cfg.Name):
		misuse("Join with Config.Name %q: it must have 1 to 64 letters, digits, '-' and '_'", cfg.Name)
	case labelBytes(cfg.Labels) > maxLabelBytes:
		misuse("Join with Config.Labels of %d bytes: at most %d are allowed", labelBytes(cfg.Labels), maxLabelBytes)
	case cfg.TTL < 0:
		misuse("Join with a negative Config.TTL")
	case cfg.TTL == 0:
		cfg.TTL = 15 * time.Second
	}
	cfg.TTL = max(time.Second, (cfg.TTL + time.Second - 1).Truncate(time.Second))
	cfg.Labels = maps.Clone(cfg.Labels)
	if cfg.types == nil {
		cfg.types = codec.Default
	}
	n := &Node{
		cfg: cfg, links: map[string]*link{}, fallen: map[string]*fallen{}, exports: map[uint64]*export{}, exportOf: map[far.Ref]*export{},
		waiting: map[string][]actor.Reply[struct{}]{}, sessions: map[string]session{}, strays: map[string]*int{}, latest: map[string]*link{}, claims: map[string]*Claimed{},
		claiming: map[claiming]int{}, groups: map[string]*memberships{}, mine: map[string][]membership{},
		ref: actor.NewRef[nodeMsg](actor.Name("(cluster)"), actor.Overflow(mailbox.Unbounded)),
	}
	opts := []actor.Option{actor.OnFailure(actor.End)}
	if s, ok := p.(*actor.System); ok {
		n.sys = s
		opts = append(opts, actor.Daemon())
	} else {
		n.sys = p.(*actor.Tasklet).System()
	}
	_, n.inside = p.(*actor.Tasklet)
	n.made, n.meter = n.sys.Now(), metered.Of(n.sys)
	t := actor.StartTasklet(p, actor.ReceiverInitBody(n.ref, n.init), opts...) // which sets n.t
	if err := t.Started(ctx); err != nil {
		if !t.HasFinished() {
			t.Kill()
		}
		if n.barred.Load() {
			return nil, fmt.Errorf("cluster: join of node %q: another node has the name, or had it less than its TTL ago: %w", cfg.Name, err)
		}
		return nil, fmt.Errorf("cluster: join of node %q: %w", cfg.Name, err)
	}
	return n, nil
}

func misuse(format string, args ...any) { panic("cluster: " + fmt.Sprintf(format, args...)) }

// maxLabelBytes bounds the session, which is one value of the directory, and is written again every
// TTL/5.
const maxLabelBytes = 16 << 10

func labelBytes(labels map[string]string) int {
	n := 0
	for k, v := range labels {
		n += len(k) + len(v)
	}
	return n
}

func validNode(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// init joins. It is the init of the node's tasklet.
func (n *Node) init(t *actor.Tasklet) (actor.Handler[nodeMsg], error) {
	n.t = t
	tr, dir, err := n.cfg.Connect.Connect(t, Member{Name: n.cfg.Name, Labels: n.cfg.Labels})
	if err != nil {
		return nil, err
	}
	n.tr, n.dir = tr, dir
	t.Defer(n.end)
	if err := tr.Listen(n.receive); err != nil {
		return nil, err
	}
	j, token, value, err := n.open(t)
	for range joinAttempts - 1 { // the directory may be without a leader for some seconds
		if err == nil {
			break
		}
		t.Sleep(time.Second)
		j, token, value, err = n.open(t)
	}
	if err != nil {
		return nil, err
	}
	n.self.Store(&j.self)
	n.renewed(j.until)
	n.meter.join(n)
	t.SetLabel("kind", "node")
	stop := dir.Follow(func(c Change) { _ = n.ref.TrySend(context.Background(), nodeMsg{change: &c}) })
	t.Defer(stop)
	actor.Go(t, func(t *actor.Tasklet) error { return n.keep(t, token, value) }, actor.Name("session"))
	n.litter = true // of those that were lost when no node was there
	actor.Go(t, n.sweep, actor.Name("sweep"))
	n.clerk = actor.Receiver(t, (&clerk{n: n}).handle, actor.Name("groups"), actor.MailboxLen(64))
	return n.handle, nil
}

// end is called when the tasklets of the node have ended.
func (n *Node) end() {
	n.left()
	n.meter.leave(n)
	n.tr.Close()
	n.letGo()
	for _, replies := range n.waiting {
		for _, r := range replies {
			if r.Awaited() {
				_ = r.Fail(n.t, n.gone.Load())
			}
		}
	}
}

// letGo takes the node off the refs that it has exported, which may live for long. Those that are
// exported from now on keep it.
func (n *Node) letGo() {
	n.mu.Lock()
	var all []func()
	for _, e := range n.exports {
		all = append(all, e.unwatch)
	}
	for _, members := range n.mine {
		for _, m := range members {
			all = append(all, m.unwatch)
		}
	}
	n.mu.Unlock()
	for _, unwatch := range all {
		if unwatch != nil {
			unwatch()
		}
	}
}

// left makes the node one that is no member and will be none again.
func (n *Node) left() {
	err := n.nodeError(n.Self(), ErrLeft)
	n.gone.CompareAndSwap(nil, err)
	n.until.Store(0)
	n.loseClaims(err)
}

func (n *Node) nodeError(m Member, cause error) *NodeError {
	return &NodeError{Node: m.Name, Incarnation: m.Incarnation.String(), Cause: cause}
}

func (n *Node) handle(t *actor.Tasklet, m nodeMsg) error {
	switch {
	case m.change != nil:
		n.changed(*m.change)
	case m.wait != nil:
		n.wait(m.wait)
	case m.down != nil:
		n.shutOut(m.down)
	case m.joined != nil:
		n.joinedAnew(m.joined)
	case m.until != 0:
		if n.gone.Load() == nil {
			n.renewed(m.until)
		}
	case m.lapse:
		n.lapsed()
	case m.leave != nil:
		n.leaving(*m.leave)
	case m.left:
		return actor.ErrStop
	case m.lost != nil:
		n.release(m.lost)
	case m.stray != "":
		n.removeStray(m.stray)
	}
	return nil
}

// changed takes in a change of the directory.
func (n *Node) changed(c Change) {
	if name, ok := strings.CutPrefix(c.Key, namePrefix); ok {
		n.nameChanged(name, c)
		return
	}
	if name, ok := strings.CutPrefix(c.Key, groupsPrefix); ok && name != n.cfg.Name {
		n.groupsChanged(name, c)
	}
	name, ok := strings.CutPrefix(c.Key, nodePrefix)
	if ok && validNode(name) && name != n.cfg.Name { // the renewal notices what happens to its own
		n.sessionChanged(name, c)
	}
}

// receive takes a frame from the transport. It may be called on any goroutine.
func (n *Node) receive(from string, frame []byte) {
	n.mu.Lock()
	l := n.links[from]
	n.mu.Unlock()
	if l == nil {
		n.meter.refuse(refusedUnknown)
		return // it comes again when the directory has told of the node
	}
	if l.arriving.Add(1) > maxArriving {
		l.arriving.Add(-1) // it is asked for again
		n.meter.refuse(refusedFlood)
		return
	}
	_ = l.ref.TrySend(context.Background(), linkMsg{what: linkFrame, frame: frame})
}

// Members returns the nodes of the cluster as far as they are known here, with this one, sorted by
// name.
func (n *Node) Members() []Member {
	n.mu.Lock()
	all := make([]Member, 0, len(n.links)+1)
	for _, l := range n.links {
		all = append(all, l.peer)
	}
	n.mu.Unlock()
	all = append(all, n.Self())
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Suspects returns the names of the nodes from which nothing has come for 3 s, sorted. They are
// still members: only the end of a node's session, after Config.TTL, makes it lost.
func (n *Node) Suspects() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for name, l := range n.links {
		if l.suspect.Load() {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Self returns this node, as it is known to the others. It has another incarnation after it was
// shut out and has joined anew.
func (n *Node) Self() Member {
	if m := n.self.Load(); m != nil {
		return *m
	}
	return Member{Name: n.cfg.Name, Labels: n.cfg.Labels}
}

// Tasklet returns the tasklet of the node. The node ends when it is killed.
func (n *Node) Tasklet() *actor.Tasklet { return n.t }

// Err returns nil while the node is a member, and then the *NodeError that says why it is none.
func (n *Node) Err() error {
	if e := n.gone.Load(); e != nil {
		return e
	}
	return nil
}

// Leave makes the node leave the cluster. It waits until the other nodes have confirmed what this
// one has sent, as long as ctx allows; what is left then is reported as dead letters. Names and
// refs of this node end for the others. Leave parks the caller. It returns nil if everything was
// confirmed, and otherwise ErrTimeout or the cause of ctx, or the kill of another call of Leave
// that has given up. The node has ended in any case when Leave returns; once more, Leave does
// nothing.
func (n *Node) Leave(ctx context.Context) error {
	_, err := actor.Call(ctx, n.ref, func(r actor.Reply[struct{}]) nodeMsg { return nodeMsg{leave: &r} })
	if errors.Is(err, mailbox.ErrClosed) {
		return nil // it has ended already
	}
	if err != nil {
		n.t.Kill()
	}
	if joined := n.t.Join(context.WithoutCancel(ctx)); err == nil {
		err = joined
	}
	return err
}

// leaving waits for the confirmations and removes the session, on behalf of reply.
func (n *Node) leaving(reply actor.Reply[struct{}]) {
	if n.answered {
		_ = reply.Send(n.t, struct{}{})
		return
	}
	n.leavers = append(n.leavers, reply)
	if n.leaver != nil {
		reply.Delegate(n.leaver)
		return
	}
	awaited := func() bool {
		return slices.ContainsFunc(n.leavers, func(r actor.Reply[struct{}]) bool { return r.Awaited() })
	}
	n.leaver = actor.Go(n.t, func(t *actor.Tasklet) error {
		for !n.idle() && awaited() {
			t.Sleep(10 * time.Millisecond)
		}
		n.left()
		ctx, cancel := actor.WithTimeout(t, n.cfg.TTL/5)
		defer cancel()
		for awaited() {
			_, token, err := n.dir.Get(ctx, nodePrefix+n.cfg.Name)
			if err == nil {
				err = n.dir.Delete(ctx, nodePrefix+n.cfg.Name, token)
			}
			if err == nil || errors.Is(err, ErrNoKey) || ctx.Err() != nil {
				break // at the latest the session ends by itself
			}
		}
		n.answered = true
		for _, r := range n.leavers {
			if r.Awaited() {
				_ = r.Send(t, struct{}{})
			}
		}
		return n.ref.Send(t, nodeMsg{left: true})
	}, actor.Name("leave"))
	reply.Delegate(n.leaver)
}

// idle reports whether everything is confirmed that was sent from here. It must be called on the
// node's scheduler.
func (n *Node) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		if !l.idle() {
			return false
		}
	}
	return true
}

// export makes ref known to other nodes, and returns its number. It may be called from any
// goroutine.
func (n *Node) export(ref far.Ref) *export {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.exportOf[ref]
	if e == nil {
		n.lastExport++
		e = &export{id: n.lastExport, ref: ref}
		n.exports[e.id], n.exportOf[ref] = e, e
		n.mu.Unlock()
		// Not under mu: it may be called at once.
		unwatch := ref.Value().(ender).OnEnd(func() { n.unexport(e) })
		n.mu.Lock()
		e.unwatch = unwatch
	}
	return e
}

// unexport forgets a ref that is dead.
func (n *Node) unexport(e *export) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.exports, e.id)
	delete(n.exportOf, e.ref)
}

func (n *Node) exported(id uint64) *export {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.exports[id]
}
