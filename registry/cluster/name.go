package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

// claimed is the value of a name's key in the directory.
type claimed struct {
	Node        string    `json:"node"`
	Incarnation uuid.UUID `json:"incarnation"`
	// ID is the number of the export. It is 0 if the name has no ref, as that of a singleton.
	ID   uint64 `json:"id"`
	Type string `json:"type,omitempty"` // on the wire; empty for an interface
}

// decodeClaimed returns a claim, and false for what no node of this package can have written.
func decodeClaimed(value []byte) (c claimed, ok bool) {
	err := json.Unmarshal(value, &c)
	return c, err == nil && validNode(c.Node) && c.Incarnation != uuid.Nil
}

// owner is a claim in Node.names.
type owner struct {
	claimed
	token Token
}

func (n *Node) nameChanged(name string, c Change) {
	o, ok := &owner{token: c.Token}, false
	if !c.Gone {
		o.claimed, ok = decodeClaimed(c.Value)
	}
	if !ok || checkName(name) != nil {
		n.names.Delete(name)
		return
	}
	n.names.Store(name, o)
	n.answerWait(name)
}

// wait keeps a call of WaitFor until the name may be there.
func (n *Node) wait(w *waitFor) {
	all := n.waiting[w.name]
	if len(all) == cap(all) { // remove those that have given up, so that they don't pile up
		all = slices.DeleteFunc(all, func(r actor.Reply[struct{}]) bool { return !r.Awaited() })
	}
	w.reply.Delegate(n.t)
	n.waiting[w.name] = append(all, w.reply)
	n.answerWait(w.name) // it may have come meanwhile
}

func (n *Node) answerWait(name string) {
	if !n.findable(name) {
		return
	}
	all := n.waiting[name]
	delete(n.waiting, name)
	for _, r := range all {
		if r.Awaited() {
			_ = r.Send(n.t, struct{}{})
		}
	}
}

func (n *Node) answerWaits() {
	for _, name := range slices.Sorted(maps.Keys(n.waiting)) {
		n.answerWait(name)
	}
}

// findable reports whether the name is known, and its node.
func (n *Node) findable(name string) bool {
	has, ok := n.names.Load(name)
	if !ok || n.gone.Load() != nil {
		return false
	}
	o := has.(*owner)
	if o.Incarnation == n.self.Load().Incarnation {
		return n.exported(o.ID) != nil
	}
	return o.ID != 0 && n.member(o.Node, o.Incarnation)
}

// checkName returns a *registry.NameError if name cannot be a name.
func checkName(name string) error {
	rule := ""
	switch {
	case name == "":
		rule = "is empty"
	case len(name) > 256:
		rule = "has more than 256 bytes"
	case !utf8.ValidString(name):
		rule = "is not valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		rule = "has control characters"
	default:
		return nil
	}
	return &registry.NameError{Name: name, Rule: rule}
}

// checkOwn is checkName for a name that a user gives to something of its own. Names with one of the
// prefixes are those of this package.
func checkOwn(name string, prefixes ...string) error {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return &registry.NameError{Name: name, Rule: fmt.Sprintf("begins with %q, as names that package cluster gives", p)}
		}
	}
	return checkName(name)
}

// wireName returns the name of M on the wire, or that in Go if it has none, or "" for an interface.
func wireName[M any](n *Node) string {
	var zero M
	if any(zero) == nil {
		return ""
	}
	if name, version, ok := n.cfg.types.Name(zero); ok {
		return fmt.Sprintf("%s/%d", name, version)
	}
	return fmt.Sprintf("%T", zero)
}

// Find returns a ref to the tasklet that has the name, wherever it lives. It returns
// registry.ErrNotFound if no node that is known here has it, a *TypeError if its messages are of
// another type, or if it reads an older version of the type than this node sends, the error of
// [Type] if M can't be sent to another node, and the *NodeError of a node that is no member any
// more. The owner of a name whose messages are of an interface may refuse some of them. Find reads
// the local copy of the directory, which may be old: a ref to a tasklet that has ended is dead as
// soon as that is known. It never parks, and may be called from any goroutine. Calls with the same
// name return the same ref as long as that lives.
func Find[M any](ctx context.Context, n *Node, name string) (actor.Ref[M], error) {
	if n == nil {
		misuse("Find with a nil Node")
	}
	var none actor.Ref[M]
	if err := checkName(name); err != nil {
		return none, err
	}
	if err := n.Err(); err != nil {
		return none, err
	}
	has, ok := n.names.Load(name)
	if !ok || has.(*owner).ID == 0 {
		return none, fmt.Errorf("cluster: %w: %q", registry.ErrNotFound, name)
	}
	o := has.(*owner)
	if o.Incarnation == n.self.Load().Incarnation {
		e := n.exported(o.ID)
		if e == nil {
			return none, fmt.Errorf("cluster: %w: %q", registry.ErrNotFound, name)
		}
		if ref, ok := e.ref.Value().(actor.Ref[M]); ok {
			return ref, nil
		}
		return none, &TypeError{name, e.ref.Message().String(), wireName[M](n)}
	}
	if err := codec.Check[M](n.cfg.types); err != nil {
		return none, err
	}
	found, err := n.importNamed(name, o, far.TypeOf(none))
	if err != nil {
		return none, err
	}
	if ref, ok := found.Value().(actor.Ref[M]); ok {
		return ref, nil
	}
	return none, &TypeError{name, found.Message().String(), wireName[M](n)}
}

// importNamed returns the ref to the owner of a name on another node.
func (n *Node) importNamed(name string, o *owner, typ far.RefType) (far.Ref, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[o.Node]
	if l == nil || l.peer.Incarnation != o.Incarnation {
		return nil, fmt.Errorf("cluster: %w: %q, whose node %q is not known", registry.ErrNotFound, name, o.Node)
	}
	if ref := l.imports[o.ID].live(); ref != nil {
		return ref, nil
	}
	if l.over != nil {
		return nil, l.over
	}
	if err := n.typeErrors(typ, name, o.Type); err != nil {
		return nil, err
	}
	return l.imported(o.ID, typ, name), nil
}

// WaitFor is like [Find], but parks the caller until the name is there, as long as ctx allows.
func WaitFor[M any](ctx context.Context, n *Node, name string) (actor.Ref[M], error) {
	if n == nil {
		misuse("WaitFor with a nil Node")
	}
	for {
		ref, err := Find[M](ctx, n, name)
		if err == nil || !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, ErrShutOut) {
			return ref, err
		}
		_, err = actor.Call(ctx, n.ref, func(r actor.Reply[struct{}]) nodeMsg {
			return nodeMsg{wait: &waitFor{name, r}}
		})
		if err != nil {
			if gone := n.Err(); gone != nil {
				err = gone
			}
			return ref, err
		}
	}
}

// A Claimed name belongs to one ref in the whole cluster, as long as Err returns nil.
type Claimed struct {
	Name string
	// Token grows with each owner of the name. An owner sends it with each change of something
	// outside, such as a database, which refuses a token that is less than one that it has seen.
	// This is the only protection against an owner that was stopped for a while and does not know
	// yet that the name has another owner.
	Token Token

	n    *Node
	id   uint64                // of the export
	lost atomic.Pointer[error] // why it is not held any more
	told func()                // called once when it is lost, or nil; Node.mu protects it
	// watched says that the end of the ref gives the name up, and unwatch ends that, or is nil.
	// Node.mu protects both.
	watched bool
	unwatch func()
}

// Err returns nil as long as this node holds the name, by its own clock: the other nodes wait at
// least until then. After that it returns a *[NodeError] if the node has left or was shut out,
// [ErrLease] if the node could not renew its session in time, and [ErrReleased] after Release or
// the end of the ref's tasklet. An error stays: when the
// node is in order again, the name must be claimed anew. It may be called from any goroutine.
func (c *Claimed) Err() error {
	if err := c.lost.Load(); err != nil {
		return *err
	}
	if !c.n.leased() {
		return ErrLease
	}
	return nil
}

// lose ends the claim on this node, and reports whether it was held.
func (n *Node) lose(c *Claimed, why error) bool {
	if !c.lost.CompareAndSwap(nil, &why) {
		return false
	}
	n.mu.Lock()
	if n.claims[c.Name] == c {
		delete(n.claims, c.Name)
		n.held[kindOf(c.Name)]--
	}
	told, unwatch := c.told, c.unwatch
	c.told, c.unwatch = nil, nil
	n.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	n.emit(EventClaimLost, why, zap.String("name", c.Name), zap.Uint64("token", c.Token.Revision))
	if told != nil {
		told()
	}
	return true
}

// loseClaims ends all claims of this node. Those that the directory may still have are removed
// there as soon as that is possible.
func (n *Node) loseClaims(why error) {
	n.mu.Lock()
	var all []*Claimed
	for _, name := range slices.Sorted(maps.Keys(n.claims)) {
		all = append(all, n.claims[name])
	}
	n.mu.Unlock()
	for _, c := range all {
		if n.lose(c, why) && why == ErrLease {
			n.release(c)
		}
	}
}

// Claim gives ref the name in the whole cluster, until the permanent end of its tasklet, a call of
// Release, or the end of this node's lease. It returns a *TakenError, which is registry.ErrTaken,
// if another ref has the name, mailbox.ErrClosed if ref is dead, and [ErrNoQuorum] with its cause
// if the directory does not answer. After an error ref does not have the name, and if the directory
// has it nevertheless, the node removes it. A ref that holds the name gets the claim that it has. A
// name that cannot be one is a *registry.NameError; names that begin with "singleton/" or "shard/"
// are those of singletons and shards. Claim parks the caller. It panics if ref is zero, or is a ref
// to another node.
func Claim[M any](ctx context.Context, n *Node, name string, ref actor.Ref[M]) (*Claimed, error) {
	if n == nil {
		misuse("Claim(%q) with a nil Node", name)
	}
	if ref.IsZero() {
		misuse("Claim(%q) of a zero Ref", name)
	}
	r := far.Of(ref)
	if r.Proxy() != nil {
		misuse("Claim(%q) of a ref to another node", name)
	}
	if err := codec.Check[M](n.cfg.types); err != nil {
		return nil, err
	}
	if err := checkOwn(name, singletonPrefix, shardPrefix); err != nil {
		return nil, err
	}
	if err := n.Err(); err != nil {
		return nil, err
	}
	c, err := n.claim(ctx, name, n.export(r).id, wireName[M](n), nil)
	if err != nil {
		return nil, err
	}
	if ref.IsDead() {
		_ = c.Release(ctx)
		return nil, mailbox.ErrClosed
	}
	n.mu.Lock()
	watched := c.watched
	c.watched = true
	n.mu.Unlock()
	if watched {
		return c, nil // or a ref would keep something of each Claim until its end
	}
	unwatch := ref.OnEnd(func() { _ = n.ref.TrySend(context.Background(), nodeMsg{lost: c}) })
	n.mu.Lock()
	lost := c.lost.Load() != nil // meanwhile
	if !lost {
		c.unwatch = unwatch
	}
	n.mu.Unlock()
	if lost {
		unwatch()
	}
	return c, nil
}

// claim claims a name for an export of this node, or for none if id is 0. told is called once when
// the claim is lost, or nil; it must not block.
func (n *Node) claim(ctx context.Context, name string, id uint64, typ string, told func()) (*Claimed, error) {
	if err := n.Err(); err != nil {
		return nil, err
	}
	self := n.self.Load()
	value, err := json.Marshal(claimed{self.Name, self.Incarnation, id, typ})
	if err != nil {
		return nil, err
	}
	me := claiming{name, id}
	n.mu.Lock()
	if c := n.claims[name]; c != nil && c.id == id && told == nil && c.Err() == nil {
		n.mu.Unlock()
		return c, nil
	}
	n.claiming[me]++
	n.mu.Unlock()
	sure := false  // it is known what the directory has
	defer func() { // also if the caller is killed meanwhile
		if !sure {
			n.mu.Lock()
			n.unclaiming(me)
			n.mu.Unlock()
			_ = n.ref.TrySend(context.Background(), nodeMsg{stray: name})
		}
	}()
	token, err := n.write(ctx, name, value, self)
	sure = err == nil || errors.Is(err, registry.ErrTaken)
	c := &Claimed{Name: name, Token: token, n: n, id: id, told: told}
	n.mu.Lock()
	if sure {
		n.unclaiming(me)
	}
	var old *Claimed
	if err == nil {
		if old = n.claims[name]; old == nil || old.Token.Less(token) {
			n.claims[name] = c
			if old == nil {
				n.held[kindOf(name)]++
			}
		} else {
			old, err = nil, &TakenError{name, self.Name}
		}
	}
	n.mu.Unlock()
	if err != nil {
		return nil, known(ctx, err)
	}
	if old != nil {
		n.lose(old, ErrReleased)
	}
	// What has ended the session or the lease meanwhile has not found this claim.
	if n.self.Load() != self || n.gone.Load() != nil || !n.leased() {
		why := n.Err()
		if why == nil {
			why = ErrLease
		}
		if n.lose(c, why) {
			_ = n.ref.TrySend(context.Background(), nodeMsg{lost: c})
		}
		return nil, why
	}
	n.emit(EventClaimWon, nil, zap.String("name", name), zap.Uint64("token", token.Revision))
	return c, nil
}

// claiming is a name that is about to be claimed for an export of this node.
type claiming struct {
	name string
	id   uint64
}

// unclaiming ends a call that claims. Node.mu must be held.
func (n *Node) unclaiming(me claiming) {
	if n.claiming[me]--; n.claiming[me] == 0 {
		delete(n.claiming, me)
	}
}

// removeStray removes a claim of this node that may have come about although its caller got an
// error or was killed, unless there has been another one since. It must be called inside the node's
// tasklet.
func (n *Node) removeStray(name string) {
	const looks = 3 // a write that is under way may arrive after the first
	if left := n.strays[name]; left != nil {
		*left = looks
		return
	}
	left := looks
	n.strays[name] = &left
	actor.Go(n.t, func(t *actor.Tasklet) error {
		for left > 0 {
			t.Sleep(n.cfg.TTL / 5)
			ctx, cancel := actor.WithTimeout(t, n.cfg.TTL/5)
			has, token, err := n.dir.Get(ctx, namePrefix+name)
			o, ok := decodeClaimed(has)
			if err == nil && ok && o.Node == n.cfg.Name {
				n.mu.Lock()
				c := n.claims[name]
				wanted := c != nil && c.Token == token || n.claiming[claiming{name, o.ID}] > 0
				n.mu.Unlock()
				if !wanted {
					err = n.dir.Delete(ctx, namePrefix+name, token)
				}
			}
			cancel()
			if err == nil || errors.Is(err, ErrNoKey) || errors.Is(err, ErrChanged) {
				left--
			}
		}
		delete(n.strays, name)
		return nil
	}, actor.Name("stray"))
}

// known returns err if it is one of this package or of the caller's context, and otherwise
// ErrNoQuorum with err as its cause: the directory has not answered.
func known(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.As(err, new(*TakenError)) || errors.As(err, new(*NodeError)) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoQuorum, err)
}

// write writes a name into the directory.
func (n *Node) write(ctx context.Context, name string, value []byte, self *Member) (Token, error) {
	key := namePrefix + name
	for {
		token, err := n.dir.Create(ctx, key, value, 0)
		if !errors.Is(err, ErrExists) {
			return token, err
		}
		has, token, err := n.dir.Get(ctx, key)
		if errors.Is(err, ErrNoKey) {
			continue
		}
		if err != nil {
			return Token{}, err
		}
		if old, ok := decodeClaimed(has); ok && string(has) != string(value) {
			owns, err := n.lives(ctx, name, old, token, self)
			if err != nil {
				return Token{}, err
			}
			if owns {
				return Token{}, &TakenError{name, old.Node}
			}
		}
		// Also a claim of this ref that is there gets a new token: it may be one that was lost
		// here, and is about to be removed.
		token, err = n.dir.Update(ctx, key, value, token, 0)
		if !errors.Is(err, ErrChanged) {
			return token, err
		}
	}
}

// lives reports whether the owner of a name, which the directory has with the token, must be
// respected. The session must be gone for the directory, and also in the local copy, once that has
// come to the token: a server that was stopped and does not know yet that it leads no longer may
// answer with what was true before the owner joined. lives waits for the local copy, which is late
// when this node has just joined.
func (n *Node) lives(ctx context.Context, name string, o claimed, token Token, self *Member) (bool, error) {
	if o.Incarnation == self.Incarnation {
		n.mu.Lock()
		defer n.mu.Unlock()
		held := n.claims[name] != nil || n.claiming[claiming{name, o.ID}] > 0
		return held && (o.ID == 0 || n.exports[o.ID] != nil), nil
	}
	there, err := n.sessionLives(ctx, &Member{Name: o.Node, Incarnation: o.Incarnation})
	if there || err != nil {
		return there, err
	}
	for range 2 * time.Second / copyEvery {
		has, ok := n.names.Load(name)
		if ok && !has.(*owner).token.Less(token) && !n.member(o.Node, o.Incarnation) {
			return false, nil
		}
		if err := pause(ctx, copyEvery); err != nil {
			return false, err
		}
	}
	return true, nil
}

// copyEvery is the time after which lives looks at the local copy again.
const copyEvery = 20 * time.Millisecond

// member reports whether another node is a member in this incarnation, by the local copy.
func (n *Node) member(node string, incarnation uuid.UUID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[node]
	return l != nil && l.peer.Incarnation == incarnation
}

// sessionLives reads the truth about the session of a node.
func (n *Node) sessionLives(ctx context.Context, m *Member) (bool, error) {
	value, _, err := n.dir.Get(ctx, nodePrefix+m.Name)
	if errors.Is(err, ErrNoKey) {
		return false, nil
	}
	s, ok := decodeSession(value)
	return err == nil && ok && s.Incarnation == m.Incarnation, err
}

// Is makes errors.Is(e, registry.ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == registry.ErrTaken }

// Release gives the name up. It parks the caller. A name that has got another owner since is left
// alone. After an error the name is removed when the session of this node ends.
func (c *Claimed) Release(ctx context.Context) error {
	c.n.lose(c, ErrReleased)
	err := c.n.dir.Delete(ctx, namePrefix+c.Name, c.Token)
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// release removes a claim from the directory that is not held any more. If that does not succeed in
// several attempts, the name is free when the session of this node ends. It must be called inside
// the node's tasklet.
func (n *Node) release(c *Claimed) {
	n.lose(c, ErrReleased)
	actor.Go(n.t, func(t *actor.Tasklet) error {
		for range 5 {
			ctx, cancel := actor.WithTimeout(t, n.cfg.TTL/5)
			err := c.Release(ctx)
			cancel()
			if err == nil {
				break
			}
			t.Sleep(time.Second)
		}
		return nil
	}, actor.Name("release"))
}
