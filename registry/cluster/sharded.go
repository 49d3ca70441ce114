package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/rendezvous"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

const (
	shardPrefix = "shard/"
	hostsPrefix = "(shards)/"
	// maxKnown is how many refs to entities a Sharded remembers. It bounds the memory.
	maxKnown = 10_000
)

// ShardedSpec describes entities that are spread over the nodes of a cluster. Name and Init are
// required.
type ShardedSpec[M any] struct {
	// Name is the kind of the entities. All nodes must use the same Name, Shards and M for it.
	Name string
	// Shards is the number of shards. A shard is a share of all keys, and moves from node to node
	// as a whole. It must be the same on all nodes, also over versions of the program. 0 means 64.
	Shards int
	// Init is that of entity.Spec, with the claim of the key's shard, whose token guards what the
	// entity changes outside.
	Init func(t *actor.Tasklet, key string, claim *Claimed) (actor.Handler[M], error)
	// Entities has the other fields for the entities of one node, such as Idle and MaxLive. Its
	// Init must be nil. If Name is "" it is "entities".
	Entities entity.Spec[string, M]
	// Handover is how long the entities of a shard may take for what is queued when the shard moves
	// to another node that has joined. Then they are killed. 0 means 10 s.
	Handover time.Duration
}

// Sharded is a kind of entities, each of which lives on one node at a time: that of its shard. Use
// [NewSharded] to make one. Methods may be called from any goroutine.
type Sharded[M any] struct {
	// Set when it is made, then read-only.
	n    *Node
	spec ShardedSpec[M]

	mu    sync.Mutex
	known map[string]actor.Ref[M] // that Ref has returned
}

// locate asks the host of a shard for the ref of an entity.
type locate struct {
	Key   string              `cbor:"1,keyasint"`
	Reply actor.Reply[placed] `cbor:"2,keyasint"`
}

// placed is where an entity is.
type placed struct {
	ID   uint64 `cbor:"1,keyasint"` // of the export on the node that answers
	Type string `cbor:"2,keyasint"`
}

// errMoved is the answer of a node that does not have the shard.
var errMoved = errors.New("cluster: the shard is not here")

func init() {
	codec.Register[locate](codec.Default, "tasklet.locate", 1)
	codec.Default.Error("tasklet.moved", errMoved)
}

// NewSharded returns the handle of a kind of entities. Each node that uses them makes one, and the
// nodes that host them run its Body. NewSharded returns a *registry.NameError if Name can't be a
// name, the error of [Type] if messages of type M can't be sent to another node, and an error that
// names any other field that is invalid. Fields of Entities are checked when the Body starts.
func NewSharded[M any](n *Node, spec ShardedSpec[M]) (*Sharded[M], error) {
	if n == nil {
		misuse("NewSharded with a nil Node")
	}
	if err := checkName(shardPrefix + spec.Name); err != nil || spec.Name == "" {
		return nil, errors.Join(err, checkName(spec.Name))
	}
	bad := func(field, rule string) (*Sharded[M], error) {
		return nil, fmt.Errorf("cluster: ShardedSpec.%s of %q %s", field, spec.Name, rule)
	}
	switch {
	case spec.Init == nil:
		return bad("Init", "is nil")
	case spec.Entities.Init != nil:
		return bad("Entities.Init", "is not nil: ShardedSpec.Init takes its place")
	case spec.Shards < 0 || spec.Shards > 4096:
		return bad("Shards", "is not in 0 to 4,096")
	case spec.Handover < 0:
		return bad("Handover", "is negative")
	}
	if err := codec.Check[M](n.cfg.types); err != nil {
		return nil, err
	}
	if spec.Shards == 0 {
		spec.Shards = 64
	}
	if spec.Handover == 0 {
		spec.Handover = 10 * time.Second
	}
	if spec.Entities.Name == "" {
		spec.Entities.Name = "entities"
	}
	return &Sharded[M]{n: n, spec: spec, known: map[string]actor.Ref[M]{}}, nil
}

// Name returns the kind of the entities.
func (s *Sharded[M]) Name() string { return s.spec.Name }

// ShardOf returns the number of the shard of a key, 0 to Shards-1.
func (s *Sharded[M]) ShardOf(key string) int {
	return int(rendezvous.Hash(key) % uint64(s.spec.Shards))
}

// NodeOf returns the name of the node that has the shard of a key, as far as is known here, or "".
func (s *Sharded[M]) NodeOf(key string) string {
	name := s.shardName(s.ShardOf(key))
	if has, ok := s.n.names.Load(name); ok && s.n.taken(name) {
		return has.(*owner).Node
	}
	return ""
}

func (s *Sharded[M]) shardName(i int) string {
	return shardPrefix + s.spec.Name + "/" + strconv.Itoa(i)
}

// Ref returns a ref to the entity of key, which is started where its shard is if it does not live.
// It waits until the shard has a node, as long as ctx allows. The ref is dead when the entity has
// stopped or its shard has moved; then Ref returns another one. Messages that are under way at that
// moment become dead letters, and calls fail. Ref returns the errors of entity.Entities.Ref, a
// *[NodeError] if this node has left the cluster, and ErrTimeout or the cause of ctx. It parks the
// caller.
func (s *Sharded[M]) Ref(ctx context.Context, key string) (actor.Ref[M], error) {
	s.mu.Lock()
	ref, ok := s.known[key]
	s.mu.Unlock()
	if ok && !ref.IsClosed() && !suspect(ref) {
		return ref, nil
	}
	name := s.shardName(s.ShardOf(key))
	for {
		ref, err := s.ask(ctx, name, key)
		if err == nil && !ref.IsClosed() {
			s.mu.Lock()
			if len(s.known) >= maxKnown {
				clear(s.known)
			}
			s.known[key] = ref
			s.mu.Unlock()
			return ref, nil
		}
		if gone := s.n.Err(); gone != nil && errors.Is(gone, ErrLeft) {
			return ref, gone
		}
		if err != nil && !again(err) {
			return ref, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return ref, err
		}
	}
}

// suspect reports whether nothing has come from the node of ref for a while. A call would fail, and
// the node of the shard may be another one soon.
func suspect[M any](ref actor.Ref[M]) bool {
	o, ok := far.Of(ref).Proxy().(*outbox)
	return ok && o.link.suspect.Load()
}

// ask asks the node of a shard for the ref of an entity.
func (s *Sharded[M]) ask(ctx context.Context, name, key string) (ref actor.Ref[M], err error) {
	host, err := WaitFor[locate](ctx, s.n, name)
	if err != nil {
		return ref, err
	}
	at, err := actor.Call(ctx, host, func(r actor.Reply[placed]) locate { return locate{key, r} })
	if err != nil {
		return ref, err
	}
	var found far.Ref
	if o, ok := far.Of(host).Proxy().(*outbox); ok {
		node := o.link.peer
		found, err = s.n.importNamed(key, &owner{claimed: claimed{node.Name, node.Incarnation, at.ID, at.Type}}, far.TypeOf(ref))
		if err != nil {
			return ref, err
		}
	} else if e := s.n.exported(at.ID); e != nil {
		found = e.ref
	} else {
		return ref, errMoved
	}
	ref, ok := found.Value().(actor.Ref[M])
	if !ok {
		return ref, &TypeError{name, found.Message().String(), wireName[M](s.n)}
	}
	return ref, nil
}

// again reports whether an error of ask may be over soon.
func again(err error) bool {
	for _, e := range []error{errMoved, registry.ErrNotFound, mailbox.ErrClosed, actor.ErrNoReply, actor.ErrNoTasklet} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, new(*NodeError)) || errors.As(err, new(*actor.JoinError))
}

// pause parks the caller, or blocks a goroutine, for d.
func pause(ctx context.Context, d time.Duration) error {
	if t := actor.Current(ctx); t != nil {
		if err := own.Ended(ctx); err != nil {
			return err
		}
		t.Sleep(d)
		return own.Ended(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Send sends m to the entity of key, as Ref and actor.Ref.Send do. If the entity stops at that
// moment, it sends m to the next one. m was not sent if the error is not nil. An m that was sent
// may become a dead letter if the shard moves, or its node is lost.
func (s *Sharded[M]) Send(ctx context.Context, key string, m M) error {
	for {
		ref, err := s.Ref(ctx, key)
		if err != nil {
			return err
		}
		if err = ref.Send(ctx, m); !errors.Is(err, mailbox.ErrClosed) {
			return err
		}
		if err := s.forget(ctx, key, ref); err != nil {
			return err
		}
	}
}

// forget forgets a ref that has turned out to be closed. It may be closed on its own node, and not
// yet here. Then the next one may not be there at once either, so forget makes a pause.
func (s *Sharded[M]) forget(ctx context.Context, key string, ref actor.Ref[M]) error {
	s.mu.Lock()
	if s.known[key] == ref {
		delete(s.known, key)
	}
	s.mu.Unlock()
	return pause(ctx, 10*time.Millisecond)
}

// CallSharded sends a request to the entity of key, and waits for the answer, as actor.Call does.
// If the entity has stopped before the request was sent it is sent to the next one; it is never
// sent twice. If the shard moves, or its node is lost, while the request is under way, the error is
// that of actor.Call, and the request may have been handled. msg may be called more than once; only
// the last request was sent.
func CallSharded[M, R any](ctx context.Context, s *Sharded[M], key string, msg func(actor.Reply[R]) M) (R, error) {
	for {
		ref, err := s.Ref(ctx, key)
		if err != nil {
			return *new(R), err
		}
		v, err := actor.Call(ctx, ref, msg)
		if !errors.Is(err, mailbox.ErrClosed) {
			return v, err
		}
		if err := s.forget(ctx, key, ref); err != nil {
			return *new(R), err
		}
	}
}

// Body returns the body of the tasklet that hosts entities on this node. Put it under a supervisor
// on each node that is to host them. It claims the shards that belong to this node: each shard
// chooses among the nodes with a host, so that few shards move when one comes or goes. When a shard
// belongs to another node, its entities handle what is queued, stop, and the shard is released.
// When this node's lease is over, all entities are killed before another node can have a shard.
func (s *Sharded[M]) Body() actor.Body {
	return actor.ReceiverInitBody(actor.NewRef[hostMsg](actor.Overflow(mailbox.Unbounded)), func(t *actor.Tasklet) (actor.Handler[hostMsg], error) {
		h := &host[M]{s: s, n: s.n, t: t, ref: actor.Self[hostMsg](t), shards: make([]shard, s.spec.Shards)}
		return h.handle, h.init()
	})
}

// host is the tasklet of a Sharded on one node. It is owned by its scheduler, except ref.
type host[M any] struct {
	s   *Sharded[M]
	n   *Node
	t   *actor.Tasklet
	ref actor.Ref[hostMsg]

	door     actor.Ref[locate] // what the claims of the shards lead to
	export   uint64            // of door
	entities *entity.Entities[string, M]
	ending   bool // the entities are being killed
	shards   []shard
}

// shard is what a host knows of one shard.
type shard struct {
	claim  *Claimed // nil if it is not here
	busy   bool     // a child claims it or hands it over
	moving bool     // its entities are stopped
	cut    bool     // they are killed, because they took too long
	tryAt  time.Duration
}

// hostMsg is a message to a host.
type hostMsg struct {
	own.Mark
	of    any  // the host that it is for: another one may read the mailbox after a restart
	look  bool // it is time to look at all shards
	lost  bool // a claim was lost
	over  bool // the entities have ended
	won   *Claimed
	shard int
	err   error
	freed bool // shard was handed over
}

func (h *host[M]) init() error {
	t := h.t
	h.door = actor.Receiver(t, h.locate, actor.Name("door"))
	h.export = h.n.export(far.Of(h.door)).id
	t.Defer(h.end)
	if err := h.start(); err != nil {
		return err
	}
	group := hostsPrefix + h.s.spec.Name
	if _, err := h.n.addMember(group, membership{ID: h.export, Type: wireName[locate](h.n)}); err != nil {
		return err
	}
	h.door.OnEnd(func() { h.n.removeMember(group, h.export) })
	_ = h.n.clerk.TrySend(context.Background(), clerkMsg{})
	_ = h.ref.TrySend(t, hostMsg{of: h, look: true})
	return nil
}

// start starts the set of entities.
func (h *host[M]) start() (err error) {
	spec := h.s.spec.Entities
	spec.Init = func(t *actor.Tasklet, key string) (actor.Handler[M], error) {
		sh := &h.shards[h.s.ShardOf(key)]
		if sh.claim == nil || sh.cut || sh.claim.Err() != nil {
			return nil, actor.ErrStop
		}
		return h.s.spec.Init(t, key, sh.claim)
	}
	h.entities, err = entity.Start(h.t, spec)
	return err
}

// end gives the shards up when the entities have ended.
func (h *host[M]) end() {
	for _, sh := range h.shards {
		if sh.claim != nil {
			h.n.giveUp(sh.claim)
		}
	}
}

func (h *host[M]) handle(_ *actor.Tasklet, m hostMsg) error {
	switch {
	case m.of != h:
		if m.won != nil {
			h.n.giveUp(m.won)
		}
	case m.look:
		if gone := h.n.Err(); gone != nil && errors.Is(gone, ErrLeft) {
			return gone
		}
		h.look()
		actor.SendAfter(h.t, lookEvery, h.ref, hostMsg{of: h, look: true})
	case m.won != nil:
		h.won(m.shard, m.won)
	case m.err != nil:
		h.shards[m.shard].busy = false
	case m.freed:
		h.shards[m.shard] = shard{}
	case m.lost:
		h.lost()
	case m.over:
		h.ending = false
		return h.start()
	}
	return nil
}

// look claims the shards that belong here, and hands over those that do not.
func (h *host[M]) look() {
	if h.ending || h.n.Err() != nil {
		return
	}
	nodes := h.nodes()
	now := h.n.clock()
	for i := range h.shards {
		sh := &h.shards[i]
		mine := h.belongs(i, nodes)
		switch {
		case sh.busy:
		case sh.claim == nil && mine:
			if name := h.s.shardName(i); !h.n.taken(name) || now > sh.tryAt {
				sh.tryAt = now + h.n.cfg.TTL + time.Second
				h.claim(i, name)
			}
		case sh.claim != nil && !mine:
			h.handOver(i)
		}
	}
}

// nodes returns the numbers of the nodes that have a host, and that of this one first.
func (h *host[M]) nodes() []uint64 {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []uint64{rendezvous.Hash(n.cfg.Name)}
	for name, l := range n.links {
		if m := n.groups[name]; m != nil && m.Incarnation == l.peer.Incarnation && len(m.Groups[hostsPrefix+h.s.spec.Name]) > 0 {
			all = append(all, rendezvous.Hash(name))
		}
	}
	return all
}

// belongs reports whether the first of the nodes has shard i.
func (h *host[M]) belongs(i int, nodes []uint64) bool {
	key := rendezvous.Hash(h.s.shardName(i))
	mine := rendezvous.Weight(key, nodes[0])
	return !slices.ContainsFunc(nodes[1:], func(m uint64) bool { return rendezvous.Weight(key, m) > mine })
}

// claim claims a shard in a child.
func (h *host[M]) claim(i int, name string) {
	h.shards[i].busy = true
	told := func() { _ = h.ref.TrySend(context.Background(), hostMsg{of: h, lost: true}) }
	actor.Go(h.t, func(t *actor.Tasklet) error {
		c, err := h.n.claim(t, name, h.export, wireName[locate](h.n), told)
		if err != nil {
			return h.ref.Send(t, hostMsg{of: h, shard: i, err: err})
		}
		return h.ref.Send(t, hostMsg{of: h, shard: i, won: c})
	}, actor.Name("claim"))
}

// won begins with a shard.
func (h *host[M]) won(i int, c *Claimed) {
	sh := &h.shards[i]
	sh.busy = false
	if c.Err() != nil || h.ending {
		h.n.giveUp(c)
		return
	}
	sh.claim = c
	h.n.emit(EventShardMoved, nil, zap.String("name", h.s.spec.Name), zap.Int("shard", i), zap.Uint64("token", c.Token.Revision))
}

// lost kills all entities if a claim was lost: the lease is over, or this node was shut out. Then
// all claims are lost.
func (h *host[M]) lost() {
	any := false
	for i := range h.shards {
		if sh := &h.shards[i]; sh.claim != nil && sh.claim.Err() != nil {
			any = any || !errors.Is(sh.claim.Err(), ErrReleased)
			sh.claim = nil
		}
	}
	if !any || h.ending {
		return
	}
	h.ending = true
	for i := range h.shards {
		if sh := &h.shards[i]; sh.claim != nil { // won since
			h.n.giveUp(sh.claim)
			sh.claim = nil
		}
	}
	set := h.entities.Tasklet()
	set.Kill()
	actor.Go(h.t, func(t *actor.Tasklet) error {
		_ = set.Join(t)
		return h.ref.Send(t, hostMsg{of: h, over: true})
	}, actor.Name("end"))
}

// handOver stops the entities of a shard in a child, and releases it.
func (h *host[M]) handOver(i int) {
	sh := &h.shards[i]
	sh.busy, sh.moving = true, true
	c, es := sh.claim, h.entities
	actor.Go(h.t, func(t *actor.Tasklet) error {
		var keys []string
		for _, key := range es.Keys() {
			if h.s.ShardOf(key) == i {
				keys = append(keys, key)
			}
		}
		// All at the same time, so that the limit is one for all of them.
		late := 0
		each(t, keys, func(t *actor.Tasklet, key string) {
			ctx, cancel := actor.WithTimeout(t, h.s.spec.Handover)
			defer cancel()
			if es.Stop(ctx, key) != nil {
				late++
			}
		})
		if late > 0 && h.shards[i].claim == c {
			h.shards[i].cut = true // no further incarnation handles what is queued
			each(t, keys, func(t *actor.Tasklet, key string) {
				if e := es.Get(key); e != nil {
					e.Kill()
				}
				// Without a limit: the shard stays here as long as one of them lives.
				_ = es.Stop(t, key)
			})
		}
		h.n.giveUp(c)
		return h.ref.Send(t, hostMsg{of: h, shard: i, freed: true})
	}, actor.Name("hand-over"))
}

// each calls f for all keys at the same time, each in a child of t, and returns when all have
// returned.
func each(t *actor.Tasklet, keys []string, f func(t *actor.Tasklet, key string)) {
	for n, key := range keys {
		actor.Go(t, func(t *actor.Tasklet) error { f(t, key); return nil }, actor.Name("stop-"+strconv.Itoa(n)))
	}
	_, _ = t.JoinChildren(t)
}

// locate answers with the ref of an entity, if its shard is here. It is no failure if the caller
// does not wait any more.
func (h *host[M]) locate(t *actor.Tasklet, q locate) error {
	sh := &h.shards[h.s.ShardOf(q.Key)]
	if sh.claim == nil || sh.moving || h.ending || sh.claim.Err() != nil {
		_ = q.Reply.Fail(t, errMoved)
		return nil
	}
	ref, err := h.entities.Ref(t, q.Key)
	if err != nil {
		_ = q.Reply.Fail(t, err)
		return nil
	}
	_ = q.Reply.Send(t, placed{h.n.export(far.Of(ref)).id, wireName[M](h.n)})
	return nil
}
