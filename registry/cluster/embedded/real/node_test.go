//go:build linux

package real_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
)

// cast is a message whose fate is counted. Its number counts from 1 for each life that sends and
// each one that it is sent to. A life is what a process does as one incarnation of its node.
type cast struct {
	From string `cbor:"1,keyasint"` // an incarnation
	N    int    `cbor:"2,keyasint"`
	Data []byte `cbor:"3,keyasint"`
}

// ask is the request of a call.
type ask struct {
	From string           `cbor:"1,keyasint"`
	N    int              `cbor:"2,keyasint"`
	Back actor.Reply[int] `cbor:"3,keyasint"`
}

func init() {
	cluster.Type[cast]("real.cast", 1)
	cluster.Type[ask]("real.ask", 1)
}

const (
	sharedNames = 8 // names that all nodes without a server want for ever
	linearNames = 4 // names that all nodes claim and release, and whose history is checked
)

// process is a node, and what it does.
type process struct {
	orders
	sys   *actor.System
	node  *cluster.Node
	tap   *tap
	quiet atomic.Bool // nobody begins anything new; atomic: written by commands, read by tasklets

	out sync.Mutex // held while a line is written

	mu sync.Mutex // protects the following, which OnEvent and tasklets use
	// Owned by mu.
	rep report
}

func newProcess(o orders) *process {
	return &process{orders: o, rep: report{
		Sent: map[string]int{}, Handled: map[string]int{}, Certain: map[string]int{}, Perhaps: map[string]int{},
		Busy: map[string]int{}, Answered: map[string]int{}, Failed: map[string]int{},
	}}
}

// emit tells the parent something.
func (p *process) emit(l line) {
	l.Proc = p.Proc
	if l.At == 0 {
		l.At = now()
	}
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	p.out.Lock()
	defer p.out.Unlock()
	_, _ = os.Stdout.Write(append(b, '\n'))
}

// count changes the account.
func (p *process) count(f func(*report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.rep)
}

func (p *process) wrong(format string, args ...any) {
	p.count(func(r *report) { r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...)) })
}

// report tells the parent the account.
func (p *process) report() {
	p.mu.Lock()
	r := p.rep
	r.Now = p.incarnation()
	for _, m := range []*map[string]int{&r.Busy, &r.Sent, &r.Handled, &r.Certain, &r.Perhaps, &r.Answered, &r.Failed} {
		*m = maps.Clone(*m)
	}
	p.mu.Unlock()
	p.emit(line{What: "report", Report: &r})
}

// incarnation returns the incarnation of the node, or "" if it is no member.
func (p *process) incarnation() string {
	if p.node == nil || p.node.Err() != nil {
		return ""
	}
	return p.node.Self().Incarnation.String()
}

// target finds the incarnation that a message was meant for in the path of its outbox.
var target = regexp.MustCompile(`/target:([a-f0-9-]+)$`)

func (p *process) onEvent(e actor.EventRecord) {
	if e.Kind != event.DeadLetter && e.Kind != event.MessageLost {
		return
	}
	if e.Message == nil || e.Message.Name() != "cast" {
		return
	}
	to := target.FindStringSubmatch(e.Path)
	p.count(func(r *report) {
		switch {
		case to == nil:
			r.Here += e.Count
		case hasReason(e, "unknown"):
			r.Perhaps[to[1]] += e.Count
		default:
			r.Certain[to[1]] += e.Count
		}
	})
}

func hasReason(e actor.EventRecord, why string) bool {
	for _, f := range e.Fields {
		if f.Key == "reason" && f.String == why {
			return true
		}
	}
	return false
}

// run is the life of the process. It ends when the node does, or when the parent says so.
func (p *process) run() {
	var err error
	p.sys, err = actor.Start(actor.Config{Name: p.Proc, Logger: zap.NewNop(), OnEvent: p.onEvent})
	if err != nil {
		panic(err)
	}
	var connect cluster.Connector = cluster.NATS(p.URL)
	if p.Listen != "" {
		connect = embedded.Server(embedded.Config{
			Dir: p.Dir, Listen: p.Listen, Seeds: p.Seeds, Self: p.Self, Secret: "a secret of 16 bytes",
		})
	}
	p.tap = &tap{Connector: connect, p: p}
	go p.commands()
	for {
		p.node, err = cluster.Join(context.Background(), p.sys, cluster.Config{
			Name: p.Node, Connect: p.tap, TTL: p.TTL, Labels: map[string]string{"proc": p.Proc},
		})
		if err == nil {
			break
		}
		p.emit(line{What: "note", Err: err.Error()}) // the servers may not be there yet
		time.Sleep(200 * time.Millisecond)
	}
	err = actor.Go(p.sys, p.lives).Join(context.Background())
	p.emit(line{What: "note", Err: "the process ends: " + fmt.Sprint(err)})
}

// lives starts a life for each incarnation of the node.
func (p *process) lives(t *actor.Tasklet) error {
	for last := ""; ; t.Sleep(20 * time.Millisecond) {
		if now := p.incarnation(); now != "" && now != last {
			last = now
			p.emit(line{What: "up", Incarnation: now})
			actor.Go(t, func(t *actor.Tasklet) error { return (&life{process: p, id: now}).work(t) })
		}
	}
}

// commands carries out what the parent says.
func (p *process) commands() {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		switch s.Text() {
		case "quiet":
			p.quiet.Store(true)
		case "report":
			p.report()
		}
	}
	os.Exit(0) // the parent has ended
}

// life is what a process does as one incarnation of its node.
type life struct {
	*process
	id string
}

// goes reports whether the node is still this incarnation.
func (p *life) goes() bool { return p.incarnation() == p.id }

// work starts the tasklets of the life.
func (p *life) work(t *actor.Tasklet) error {
	last := map[string]int{}
	casts := actor.Receiver(t, func(_ *actor.Tasklet, m cast) error {
		if m.N != last[m.From]+1 {
			p.wrong("cast %d of %s after %d", m.N, m.From, last[m.From])
		}
		last[m.From] = m.N
		p.count(func(r *report) { r.Handled[p.id+" "+m.From]++ })
		return nil
	}, actor.Name("target"), actor.MailboxLen(16))
	lastAsk := map[string]int{}
	asks := actor.Receiver(t, func(t *actor.Tasklet, m ask) error {
		if m.N <= lastAsk[m.From] {
			p.wrong("call %d of %s after %d", m.N, m.From, lastAsk[m.From])
		}
		lastAsk[m.From] = m.N
		return m.Back.Send(t, 2*m.N)
	}, actor.Name("server"))
	// The holder never answers, so that calls of it are in flight when the process is killed.
	var held []actor.Reply[int]
	holder := actor.Receiver(t, func(t *actor.Tasklet, m ask) error {
		m.Back.Delegate(t)
		held = append(held, m.Back)
		return nil
	}, actor.Name("holder"))
	for i := range sharedNames {
		if p.Listen != "" {
			break
		}
		ref := actor.Receiver(t, func(*actor.Tasklet, cast) error { return nil })
		actor.Go(t, func(t *actor.Tasklet) error { return p.want(t, i, ref) })
	}
	for i := range linearNames {
		name := fmt.Sprint("linear/", i)
		ref := actor.Receiver(t, func(*actor.Tasklet, cast) error { return nil })
		actor.Go(t, func(t *actor.Tasklet) error { return p.linear(t, name, ref) })
	}
	claimFor(t, p, "target/"+p.id, casts)
	claimFor(t, p, "server/"+p.id, asks)
	claimFor(t, p, "holder/"+p.id, holder)
	known := map[string]bool{p.id: true}
	for !p.quiet.Load() && p.goes() {
		for _, m := range p.node.Members() {
			id := m.Incarnation.String()
			if known[id] {
				continue
			}
			known[id] = true
			actor.Go(t, func(t *actor.Tasklet) error { return p.send(t, id) })
			actor.Go(t, func(t *actor.Tasklet) error { return p.call(t, id) })
			actor.Go(t, func(t *actor.Tasklet) error { return p.hold(t, id) })
		}
		t.Sleep(50 * time.Millisecond)
	}
	for { // those below end with this tasklet
		t.Sleep(time.Hour)
	}
}

// claimFor claims a name that nobody else wants.
func claimFor[M any](t *actor.Tasklet, p *life, name string, ref actor.Ref[M]) {
	for p.goes() {
		ctx, cancel := actor.WithTimeout(t, 2*time.Second)
		_, err := cluster.Claim(ctx, p.node, name, ref)
		cancel()
		if err == nil {
			return
		}
		t.Sleep(100 * time.Millisecond)
	}
}

// find waits for a ref to another incarnation, until that is no member any more.
func find[M any](t *actor.Tasklet, p *life, name, id string) (actor.Ref[M], bool) {
	for !p.quiet.Load() && p.goes() {
		if ref, err := cluster.Find[M](t, p.node, name); err == nil {
			return ref, true
		}
		t.Sleep(50 * time.Millisecond)
		there := false
		for _, m := range p.node.Members() {
			there = there || m.Incarnation.String() == id
		}
		if !there {
			break
		}
	}
	return actor.Ref[M]{}, false
}

// busy notes that a tasklet has something to do until the end of its process or of the other one.
func (p *life) busy(what, id string) (done func()) {
	what += " " + id
	p.count(func(r *report) { r.Busy[what] = 1 })
	return func() { p.count(func(r *report) { delete(r.Busy, what) }) }
}

// send sends casts to another incarnation.
func (p *life) send(t *actor.Tasklet, id string) error {
	defer p.busy("send", id)()
	ref, ok := find[cast](t, p, "target/"+id, id)
	if !ok {
		return nil
	}
	data := make([]byte, 100)
	for n := 1; !p.quiet.Load(); {
		for range 1 + rand.IntN(10) {
			if err := ref.Send(t, cast{p.id, n, data}); err != nil {
				if !errors.Is(err, mailbox.ErrClosed) {
					p.wrong("send to %s: %v", id, err)
				}
				return nil
			}
			n++
			p.count(func(r *report) { r.Sent[id]++ })
		}
		t.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
	return nil
}

// call calls another incarnation.
func (p *life) call(t *actor.Tasklet, id string) error {
	defer p.busy("call", id)()
	ref, ok := find[ask](t, p, "server/"+id, id)
	if !ok {
		return nil
	}
	for n := 1; !p.quiet.Load(); n++ {
		v, err := actor.Call(t, ref, func(r actor.Reply[int]) ask { return ask{p.id, n, r} })
		switch {
		case err == nil && v != 2*n:
			p.wrong("call %d of %s: %d", n, id, v)
		case err == nil:
			p.count(func(r *report) { r.Answered[id]++ })
		default:
			p.count(func(r *report) { r.Failed[id+" "+kind(err)]++ })
			return nil // the node is lost
		}
		t.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
	}
	return nil
}

// hold calls the holder of another incarnation, and tells when that call ends.
func (p *life) hold(t *actor.Tasklet, id string) error {
	ref, ok := find[ask](t, p, "holder/"+id, id)
	if !ok {
		return nil
	}
	_, err := actor.Call(t, ref, func(r actor.Reply[int]) ask { return ask{p.id, 1, r} })
	p.emit(line{What: "held", To: id, Err: kind(err)})
	return nil
}

// kind returns the kind of an error.
func kind(err error) string {
	var lost *cluster.NodeError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &lost):
		return "NodeError: " + fmt.Sprint(lost.Cause)
	case errors.Is(err, mailbox.ErrClosed):
		return "closed"
	}
	return err.Error()
}

// want tries to get a name until it has it.
func (p *life) want(t *actor.Tasklet, i int, ref actor.Ref[cast]) error {
	name := fmt.Sprint("shared/", i)
	if int(p.Node[1])%4 != i%4 {
		t.Sleep(3 * time.Second) // so that every node gets some
	}
	for p.goes() {
		ctx, cancel := actor.WithTimeout(t, 2*time.Second)
		_, err := cluster.Claim(ctx, p.node, name, ref)
		cancel()
		if err == nil {
			p.emit(line{What: "won", Name: name})
			return nil
		}
		t.Sleep(200 * time.Millisecond)
	}
	return nil
}

// linear claims and releases a name and reads who has it, and tells the parent of each of these
// operations when it begins and when it ends.
func (p *life) linear(t *actor.Tasklet, name string, ref actor.Ref[cast]) error {
	var claimed *cluster.Claimed
	quick := false // the truth is read at once after a change: that is when an old copy shows
	for n := 0; !p.quiet.Load() && p.goes(); n++ {
		o := op{ID: fmt.Sprintf("%s %s %d", p.id, name, n), Who: p.id, Name: name, Call: now()}
		switch x := rand.IntN(10); {
		case x < 3 || quick:
			o.What = "truth"
		case x < 7 && claimed != nil:
			o.What, o.Token = "release", claimed.Token.Revision
		default:
			o.What = "claim"
		}
		p.emit(line{What: "op", Op: &o})
		p.operate(t, &o, &claimed, ref)
		if !p.goes() && o.What != "truth" {
			o.Result = "unknown" // it may have been done by the next incarnation
		}
		o.Return = now()
		p.emit(line{What: "op", Op: &o})
		if quick = !quick && o.What != "truth" && o.Result == "ok"; !quick {
			t.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		}
	}
	return nil
}

// operate carries out an operation.
func (p *life) operate(t *actor.Tasklet, o *op, claimed **cluster.Claimed, ref actor.Ref[cast]) {
	ctx, cancel := actor.WithTimeout(t, time.Duration(500+rand.IntN(3000))*time.Millisecond)
	defer cancel()
	o.Result = "unknown"
	switch o.What {
	case "claim":
		c, err := cluster.Claim(ctx, p.node, o.Name, ref)
		var taken *cluster.TakenError
		switch {
		case err == nil:
			*claimed = c
			o.Result, o.Token = "ok", c.Token.Revision
		case errors.As(err, &taken):
			o.Result, o.Node = "taken", taken.Node
			if !errors.Is(err, registry.ErrTaken) {
				p.wrong("%v is not ErrTaken", err)
			}
		}
	case "release":
		if (*claimed).Release(ctx) == nil {
			o.Result = "ok"
		}
		*claimed = nil
	case "truth":
		value, token, err := p.tap.dir.Get(ctx, "name/"+o.Name)
		var has struct{ Incarnation uuid.UUID }
		switch {
		case errors.Is(err, cluster.ErrNoKey):
			o.Result = "free"
		case err == nil && json.Unmarshal(value, &has) == nil:
			o.Result, o.Token, o.Incarnation = "ok", token.Revision, has.Incarnation.String()
		}
	}
}

// tap is a Connector that keeps the directory of the node, and tells until when the session of the
// node lives for certain.
type tap struct {
	cluster.Connector
	p   *process
	dir cluster.Directory
}

func (c *tap) Connect(t *actor.Tasklet, self cluster.Member) (cluster.Transport, cluster.Directory, error) {
	tr, dir, err := c.Connector.Connect(t, self)
	c.dir = &tapped{dir, c}
	return tr, c.dir, err
}

type tapped struct {
	cluster.Directory
	tap *tap
}

// alive tells until when a session lives for certain, after a call that began at a time.
func (d *tapped) alive(begin int64, value []byte, ttl time.Duration, err error) {
	if ttl == 0 {
		return
	}
	if err != nil {
		d.tap.p.emit(line{What: "note", Err: fmt.Sprintf("renewal that began %.2f s ago: %v", float64(now()-begin)/1e9, err)})
		return
	}
	var has struct{ Incarnation uuid.UUID }
	if json.Unmarshal(value, &has) == nil {
		d.tap.p.emit(line{What: "alive", Incarnation: has.Incarnation.String(), At: begin, Until: begin + int64(ttl)})
	}
}

func (d *tapped) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (cluster.Token, error) {
	begin := now()
	token, err := d.Directory.Create(ctx, key, value, ttl)
	d.alive(begin, value, ttl, err)
	return token, err
}

func (d *tapped) Update(ctx context.Context, key string, value []byte, token cluster.Token, ttl time.Duration) (cluster.Token, error) {
	begin := now()
	next, err := d.Directory.Update(ctx, key, value, token, ttl)
	d.alive(begin, value, ttl, err)
	return next, err
}
