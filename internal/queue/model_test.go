package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// The model is the obvious mailbox: slices, and a list of what home has still to do. A seed draws
// commands; after each the mailbox and the model are compared, with all that is queued, on its way,
// and in line. The only thing that the model asks the mailbox is whether a sender from elsewhere
// finds a credit: when it must, and when it must not, the model knows.

// errLeft is the fate of a sender elsewhere whose context has ended, errKilled that of one that was
// killed.
var errLeft = errors.New("its context has ended")

// waiting is a sender without room.
type waiting struct {
	id   int
	till int64 // ms; 0: no limit
	left bool  // it has given up, and home does not know yet
	lone bool  // nobody waits for the message: it was given to Deliver
}

type model struct {
	cap    int
	policy Policy

	closed    bool
	queue, in []int
	over      int        // how many of in came without a credit
	away      []*waiting // from elsewhere, not in line yet
	line      []*waiting
	door      []func()
	knocked   bool

	now     int64 // ms
	planned []plan

	stashed        int // so many at the front are skipped
	handled, drops int
	lost           map[error]int
	results        map[int]error // of senders
	tickets        map[int]bool
	hand           []int // taken and not settled
	fates          map[int]error
}

// plan is a send at a time.
type plan struct {
	at   int64
	id   int
	till int64
}

func (m *model) full() bool {
	return m.policy != Unbounded && len(m.queue)+len(m.in)-m.over >= m.cap
}

func (m *model) fate(id int, err error) {
	if m.tickets[id] {
		m.fates[id] = err
	}
}

func (m *model) lose(id int, reason error) {
	m.lost[reason]++
	m.fate(id, reason)
}

func (m *model) drop(id int) { m.drops++; m.lose(id, ErrDropped) }

func (m *model) dropOldest() {
	m.drop(m.queue[0])
	m.queue = m.queue[1:]
	m.stashed = max(0, m.stashed-1)
}

// home does what was left at the door.
func (m *model) home() {
	for len(m.door) > 0 {
		f := m.door[0]
		m.door = m.door[1:]
		f()
	}
}

func (m *model) knock() {
	if !m.knocked {
		m.knocked = true
		m.door = append(m.door, m.takeIn)
	}
}

func (m *model) takeIn() {
	m.knocked = false
	m.line = append(m.line, m.away...)
	m.away = nil
	for _, id := range m.in {
		if m.over > 0 && len(m.queue) >= m.cap {
			m.dropOldest()
		}
		m.queue = append(m.queue, id)
	}
	m.in, m.over = nil, 0
	m.letIn()
}

func (m *model) letIn() {
	for len(m.line) > 0 && (m.closed || !m.full()) {
		w := m.line[0]
		m.line = m.line[1:]
		switch {
		case w.left:
		case m.closed && w.lone:
			m.lose(w.id, ErrClosed)
		case m.closed:
			m.results[w.id] = ErrClosed
		default:
			m.queue = append(m.queue, w.id)
			if !w.lone {
				m.results[w.id] = nil
			}
		}
	}
}

// send is a local one. It gives the sender that has to wait.
func (m *model) send(id int, onFull Policy) (wait bool) {
	switch {
	case m.closed:
		m.results[id] = ErrClosed
		return false
	case !m.full():
	case onFull == Block:
		return true
	case onFull == Fail:
		m.results[id] = ErrFull
		return false
	case onFull == DropNewest:
		m.drop(id)
		m.results[id] = nil
		return false
	case onFull == DropOldest:
		if len(m.queue) == 0 {
			m.takeIn()
		}
		m.dropOldest()
	}
	m.queue = append(m.queue, id)
	m.results[id] = nil
	return false
}

// sendAway is one from elsewhere.
func (m *model) sendAway(id int, onFull Policy, credit bool) (wait bool) {
	if m.closed {
		m.results[id] = ErrClosed
		return false
	}
	if !credit {
		switch onFull {
		case Block:
			m.knock()
			m.away = append(m.away, &waiting{id: id})
			return true
		case Fail:
			m.results[id] = ErrFull
			return false
		case DropNewest:
			m.drop(id)
			m.results[id] = nil
			return false
		}
	}
	m.knock()
	switch {
	case m.policy == Unbounded || credit:
	case len(m.in) < m.cap:
		m.over++
	default:
		m.drop(m.in[0])
		m.in = m.in[1:]
	}
	m.in = append(m.in, id)
	m.results[id] = nil
	return false
}

func (m *model) leave(id int) {
	m.line = slices.DeleteFunc(m.line, func(w *waiting) bool { return w.id == id })
}

func (m *model) settle(err error) {
	for _, id := range m.hand {
		m.fate(id, err)
	}
	m.hand = nil
}

// take takes the i-th message.
func (m *model) take(i int) int {
	id := m.queue[i]
	m.queue = slices.Delete(slices.Clone(m.queue), i, i+1)
	m.handled++
	m.hand = append(m.hand, id)
	if len(m.line) > 0 {
		m.letIn()
	}
	return id
}

// drained also takes in what is on its way, as Drained does.
func (m *model) drained() bool {
	if !m.closed || len(m.queue) > 0 {
		return false
	}
	m.takeIn()
	return len(m.queue) == 0
}

// drainedFresh is drained, if the stashed ones do not count.
func (m *model) drainedFresh() bool {
	if !m.closed || len(m.queue) > m.stashed {
		return false
	}
	m.takeIn()
	return len(m.queue) == m.stashed
}

// pass lets time pass until the moment till (0: without end), or until stop, which is asked
// whenever everybody has run.
func (m *model) pass(till int64, stop func() bool) {
	for {
		m.home()
		if stop() {
			return
		}
		next := till
		soon := func(at int64) {
			if at != 0 && (next == 0 || at < next) {
				next = at
			}
		}
		for _, w := range m.line {
			soon(w.till)
		}
		for _, p := range m.planned {
			soon(p.at)
		}
		if next == 0 {
			panic("the model waits for ever")
		}
		m.now = next
		for _, w := range slices.Clone(m.line) {
			if w.till == next {
				m.leave(w.id)
				m.results[w.id] = ErrTimeout
			}
		}
		for len(m.planned) > 0 && m.planned[0].at == next {
			p := m.planned[0]
			m.planned = m.planned[1:]
			m.wait(p.id, p.till)
		}
		if next == till {
			return
		}
	}
}

// wait is send by a task that waits if it has to.
func (m *model) wait(id int, till int64) {
	if m.send(id, m.policy) {
		m.line = append(m.line, &waiting{id: id, till: till})
	}
}

// twin is a mailbox at work beside its model.
type twin struct {
	model
	d       *core.Task
	box     *Queue[int]
	draw    func(n int) int
	id      int
	log     []string
	origin  time.Time
	got     map[int]error
	gotLost map[error]int
	gotFate map[int]error
	local   map[int]*core.Task
	foreign map[int]*Envelope[int]
	lone    [2]Envelope[int]
	loneID  [2]int
	took    int // by the last command, if that may be put back; 0: nothing
}

type fated struct {
	w  *twin
	id int
}

func (f fated) Settled(err error) { f.w.gotFate[f.id] = err }

func (w *twin) fail(format string, args ...any) {
	fail("%s\nafter %v %d: %v", fmt.Sprintf(format, args...), w.policy, w.model.cap, w.log)
}

func (w *twin) next() (id int, ticket Ticket) {
	w.id++
	if w.draw(3) == 0 {
		w.tickets[w.id] = true
		return w.id, fated{w, w.id}
	}
	return w.id, nil
}

// at gives a moment n or so ms from now: an even one. The reader's own limits are odd, so nothing
// falls on one moment with them.
func (w *twin) at(n int) int64 { return (w.now + int64(n) + 2) / 2 * 2 }

func (w *twin) odd(n int) int64 { return (w.now+int64(n)+1)/2*2 + 1 }

func (w *twin) until(at int64) time.Duration {
	return w.origin.Add(time.Duration(at) * time.Millisecond).Sub(w.d.Scheduler().Now())
}

// spawn starts a task that sends, perhaps later, perhaps with a limit.
func (w *twin) spawn(id int, ticket Ticket, at, till int64) {
	w.local[id] = spawn(w.d.Scheduler(), func(t *core.Task) {
		err := errKilled // it stays so if a kill is raised
		defer func() { w.got[id] = err; delete(w.local, id) }()
		if at > 0 {
			t.Sleep(w.until(at))
		}
		ctx := context.Context(t)
		if till > 0 {
			var cancel context.CancelFunc
			ctx, cancel = core.WithTimeout(t, w.until(till))
			defer cancel()
		}
		if ticket == nil {
			err = w.box.Send(ctx, id)
		} else {
			err = w.box.SendTicket(ctx, id, ticket)
		}
	})
}

// sendAway is Queue.sendFromElsewhere for a goroutine, cut in two where that waits.
func (w *twin) sendAway(try bool) {
	id, ticket := w.next()
	x := w.box.extra()
	credit := x.credits > 0
	// one put back may take the room of a credit
	if credit && (len(w.line)+len(w.away) > 0 || w.full() && !x.putBack) {
		w.fail("there is a credit, and no room, or somebody waits")
	}
	if !credit && !w.closed && w.policy != Unbounded && len(w.in)+len(w.away)+len(w.line) == 0 && !w.full() {
		w.fail("there is room, nobody waits, nothing is on its way, and there is no credit")
	}
	w.model.sendAway(id, w.box.onFull(try), credit)
	wait, err := w.box.enter(id, ticket, w.box.onFull(try))
	if wait == nil {
		w.got[id] = err
		return
	}
	e := &Envelope[int]{msg: id, ticket: ticket, away: &away{done: make(chan struct{}, 1)}}
	if _, err := w.box.enqueue(wait, e); err != nil {
		w.fail("enqueue: %v", err)
	}
	w.foreign[id] = e
}

// rest lets everybody run: home takes in, and those who were woken come back.
func (w *twin) rest() {
	w.d.Yield()
	w.d.Yield()
	w.home()
	for id, e := range w.foreign {
		select {
		case <-e.away.done:
			w.got[id] = e.err
			delete(w.foreign, id)
		default:
		}
	}
	if !maps.Equal(w.got, w.results) {
		w.fail("the senders got %v, want %v", w.got, w.results)
	}
	if !maps.Equal(w.gotLost, w.lost) || !maps.Equal(w.gotFate, w.fates) {
		w.fail("lost %v, want %v; the tickets say %v, want %v", w.gotLost, w.lost, w.gotFate, w.fates)
	}
	if now := w.until(w.now); now != 0 {
		w.fail("the clock is wrong by %v", -now)
	}
}

func ids(l *core.Line) (all []int) {
	for x := l.First(); x != nil; x = x.Next() {
		all = append(all, x.Item().(*Envelope[int]).msg)
	}
	return all
}

func idsOf(ws []*waiting) (all []int) {
	for _, w := range ws {
		all = append(all, w.id)
	}
	return all
}

func contents(r *ring[int]) (all []int) {
	for i := range r.n {
		all = append(all, r.buf[r.index(i)])
	}
	return all
}

func (w *twin) compare() {
	if err := w.box.Check(); err != nil {
		w.fail("%v", err)
	}
	x := w.box.extra()
	if got := contents(&w.box.queue); !slices.Equal(got, w.queue) {
		w.fail("queued are %v, want %v", got, w.queue)
	}
	if got := contents(&x.in); !slices.Equal(got, w.in) {
		w.fail("on their way are %v, want %v", got, w.in)
	}
	if got := ids(&x.line); !slices.Equal(got, idsOf(w.line)) {
		w.fail("in line are %v, want %v", got, idsOf(w.line))
	}
	if got := ids(&x.queue); !slices.Equal(got, idsOf(w.away)) {
		w.fail("to come into the line are %v, want %v", got, idsOf(w.away))
	}
	st := w.box.Stats()
	if int(st.Handled) != w.handled || int(st.Dropped) != w.drops || st.Closed != w.closed {
		w.fail("stats %+v, want %d handled, %d dropped, closed: %v", st, w.handled, w.drops, w.closed)
	}
}

// canCome reports whether a wait for a message will end by itself.
func (w *twin) canCome() bool {
	return len(w.queue) > 0 || w.closed || len(w.planned) > 0 && len(w.door) == 0
}

func (w *twin) read(op string, v int, err error, wantErr error) {
	want := 0
	if wantErr == nil {
		want = w.take(0)
	}
	if v != want || err != wantErr {
		w.fail("%s gave %d, %v, want %d, %v", op, v, err, want, wantErr)
	}
}

// step does one command.
func (w *twin) step() {
	took := w.took
	w.took = 0
	op := w.draw(26)
	w.log = append(w.log, fmt.Sprint(op))
	m, d := w.box, w.d
	if op >= 7 && op <= 12 { // what reads in another way skips nothing
		m.Unstash()
		w.stashed = 0
	}
	switch op {
	case 0, 1: // a task sends
		id, ticket := w.next()
		var till int64
		if w.draw(3) == 0 {
			till = w.at(1 + w.draw(8))
		}
		w.spawn(id, ticket, 0, till)
		w.home()
		w.wait(id, till)
		d.Yield()
	case 2: // the reader itself tries
		id, ticket := w.next()
		w.send(id, m.onFull(true))
		if ticket == nil && m.Put(d, id) { // the fast path, which need not know why not
			w.got[id] = nil
		} else {
			w.got[id] = m.SendTask(d, nil, id, ticket, true)
		}
	case 3, 4:
		w.sendAway(w.draw(2) == 0)
	case 5: // later
		id, ticket := w.next()
		p := plan{at: w.at(w.draw(6)), id: id}
		if w.draw(3) == 0 {
			p.till = p.at + 2*int64(w.draw(4)+1)
		}
		w.spawn(id, ticket, p.at, p.till)
		i := len(w.planned)
		for i > 0 && w.planned[i-1].at > p.at {
			i--
		}
		w.planned = slices.Insert(w.planned, i, p)
		w.home()
		d.Yield()
	case 6: // of nobody
		i := w.draw(2)
		if w.lone[i].Waits() {
			m.Withdraw(d.Scheduler(), &w.lone[i])
			w.leave(w.loneID[i])
			return
		}
		w.id++
		id, must := w.id, w.draw(2) == 0
		w.loneID[i] = id
		onFull := w.policy
		if must && (onFull == Fail || onFull == DropNewest) {
			onFull = Block
		}
		w.results[id] = nil
		waits := w.send(id, onFull)
		if waits {
			w.line = append(w.line, &waiting{id: id, lone: true})
		}
		if err := w.results[id]; err != nil {
			w.lose(id, err)
		}
		if got := m.Deliver(d.Scheduler(), &w.lone[i], id, must); got != waits {
			w.fail("Deliver waits: %v, want %v", got, waits)
		}
		delete(w.results, id)
	case 7, 8: // TryNext
		v, ok := m.TryNext()
		if ok != (len(w.queue) > 0) {
			w.fail("TryNext found %v", ok)
		}
		if ok {
			w.read("TryNext", v, nil, nil)
			w.took = v
		}
	case 9: // Next
		at := w.odd(w.draw(6))
		ctx, cancel := core.WithTimeout(d, w.until(at))
		defer cancel()
		w.settle(nil)
		v, err := m.Next(ctx)
		if len(w.queue) == 0 && !w.drained() {
			w.pass(at, func() bool { return len(w.queue) > 0 || w.drained() })
		}
		switch {
		case len(w.queue) > 0:
			w.read("Next", v, err, nil)
		case w.closed:
			w.read("Next", v, err, ErrClosed)
		default:
			w.read("Next", v, err, ErrTimeout)
		}
	case 10, 11: // ReceiveBatch
		if !w.canCome() {
			return
		}
		limit, wait := 1+w.draw(5), time.Duration(0)
		need := min(limit, w.model.cap)
		w.settle(nil)
		if len(w.queue) > 0 && w.draw(2) == 0 {
			wait = w.until(w.odd(w.draw(6)))
		} else if w.draw(3) == 0 && (w.closed || len(w.queue) >= need) {
			wait = -1
		}
		var got []int
		for batch := range m.ReceiveBatch(limit, wait) {
			got = slices.Clone(batch)
			break
		}
		if len(w.queue) == 0 && !w.drained() {
			w.pass(0, func() bool { return len(w.queue) > 0 || w.drained() })
		}
		if enough := func() bool { return len(w.queue) >= need || w.closed }; wait > 0 && !enough() {
			w.pass(w.now+int64(wait/time.Millisecond), enough)
		}
		var want []int
		for range min(need, len(w.queue)) {
			want = append(want, w.take(0))
		}
		if !slices.Equal(got, want) {
			w.fail("ReceiveBatch(%d, %v) gave %v, want %v", limit, wait, got, want)
		}
	case 12: // Match
		k, at := w.draw(3), w.odd(w.draw(6))
		fits := func(id int) bool { return id%3 == k }
		ctx, cancel := core.WithTimeout(d, w.until(at))
		defer cancel()
		w.settle(nil)
		v, err := m.Match(ctx, fits)
		over := func() bool {
			if w.closed {
				w.takeIn()
			}
			return slices.ContainsFunc(w.queue, fits) || w.closed || w.policy != DropOldest && w.policy != Unbounded && len(w.queue) >= w.model.cap
		}
		if !over() {
			w.pass(at, over)
		}
		want, wantErr := 0, ErrTimeout
		if i := slices.IndexFunc(w.queue, fits); i >= 0 {
			want, wantErr = w.take(i), nil
		} else if w.closed {
			wantErr = ErrClosed
		} else if over() && w.now < at {
			wantErr = ErrFull
		}
		if v != want || err != wantErr {
			w.fail("Match(id%%3 == %d) gave %d, %v, want %d, %v", k, v, err, want, wantErr)
		}
	case 13: // time passes
		at := w.odd(w.draw(8))
		d.Sleep(w.until(at))
		w.pass(at, func() bool { return false })
	case 14: // a sender is killed
		if all := slices.Sorted(maps.Keys(w.local)); len(all) > 0 {
			id := all[w.draw(len(all))]
			w.local[id].Kill(false)
			w.door = append(w.door, func() {
				if _, over := w.results[id]; !over {
					w.leave(id)
					w.planned = slices.DeleteFunc(w.planned, func(p plan) bool { return p.id == id })
					w.results[id] = errKilled
				}
			})
		}
	case 15: // the context of a sender elsewhere ends
		if all := slices.Sorted(maps.Keys(w.foreign)); len(all) > 0 {
			id := all[w.draw(len(all))]
			_, over := w.results[id]
			if left := w.box.leave(w.foreign[id]); left == over {
				w.fail("sender %d could leave: %v", id, left)
			}
			if !over {
				for _, x := range slices.Concat(w.line, w.away) {
					x.left = x.left || x.id == id
				}
				w.results[id], w.got[id] = errLeft, errLeft
				delete(w.foreign, id)
				w.door = append(w.door, func() { w.leave(id) })
			}
		}
	case 16: // the last one is handled again
		if took != 0 {
			m.PutBack(took)
			w.queue = append([]int{took}, w.queue...)
			w.stashed = 0
			w.hand = w.hand[:len(w.hand)-1]
		}
	case 17: // the next reader
		m.Hold()
		m.Open(d)
		w.stashed = 0
		w.takeIn()
		w.knocked = len(w.door) > 0 && w.knocked
	case 18:
		if w.draw(2) == 0 {
			m.Close()
			if !w.closed {
				w.closed = true
				w.door = append(w.door, func() {
					if w.closed {
						w.takeIn()
					}
				})
			}
		}
	case 19:
		m.Reopen()
		if w.closed {
			w.closed = false
			w.letIn()
		}
	case 20:
		if w.draw(4) == 0 {
			w.closeEmpty(m.CloseEmpty)
		}
	case 21, 22: // TakeFresh
		v, ok := m.TakeFresh()
		if ok != (len(w.queue) > w.stashed) {
			w.fail("TakeFresh found %v, with %d stashed", ok, w.stashed)
		}
		if ok {
			if want := w.take(w.stashed); v != want {
				w.fail("TakeFresh gave %d, want %d", v, want)
			}
			w.took = v
			if w.draw(2) == 0 {
				w.stash(v)
			}
		}
	case 23:
		if took != 0 {
			w.stash(took)
		}
	case 24:
		if w.draw(2) == 0 {
			m.Unstash()
			w.stashed = 0
		}
		if got := m.Stashed(); got != w.stashed {
			w.fail("%d are stashed, want %d", got, w.stashed)
		}
		if got, want := m.DrainedFresh(), w.drainedFresh(); got != want {
			w.fail("drained but for the stash: %v, want %v", got, want)
		}
	default:
		w.rest()
	}
}

// stash keeps the last one for later.
func (w *twin) stash(v int) {
	w.box.Stash(v)
	w.queue = slices.Insert(slices.Clone(w.queue), w.stashed, v)
	w.hand = w.hand[:len(w.hand)-1]
	w.stashed++
	w.handled--
	w.took = 0
}

func (w *twin) closeEmpty(f func()) {
	f()
	w.closed = true
	w.takeIn()
	w.settle(ErrClosed)
	for _, id := range w.queue {
		w.lose(id, ErrClosed)
	}
	w.queue, w.stashed = nil, 0
}

// playModel plays the commands that draw gives, at most n, in the task d.
func playModel(d *core.Task, draw func(int) int, n int) {
	policy := Policy(draw(5))
	capacity := []int{1, 2, 3, 8}[draw(4)]
	w := &twin{d: d, draw: draw, origin: d.Scheduler().Now(),
		got: map[int]error{}, gotLost: map[error]int{}, gotFate: map[int]error{},
		local: map[int]*core.Task{}, foreign: map[int]*Envelope[int]{},
		model: model{cap: capacity, policy: policy,
			lost: map[error]int{}, results: map[int]error{}, tickets: map[int]bool{}, fates: map[int]error{}},
	}
	cfg := Config{Cap: capacity, Overflow: policy, Losses: LossFunc(func(l Loss) { w.gotLost[l.Reason] += l.Count })}
	if policy == Unbounded {
		cfg.Cap, w.model.cap = 0, 1<<30
	}
	w.box = opened[int](d, cfg)
	for range n {
		w.step()
		w.compare()
	}
	w.rest()
	if err := d.Scheduler().Check(nil); err != nil {
		w.fail("%v", err)
	}
	for len(w.planned) > 0 {
		w.pass(w.planned[0].at+1, func() bool { return false })
	}
	d.Sleep(w.until(w.now))
	w.closeEmpty(w.box.Discard)
	w.rest()
	w.compare()
	if len(w.local)+len(w.foreign) > 0 {
		w.fail("senders are left: %v, %v", w.local, w.foreign)
	}
}

func modelSeed(d *core.Task, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 9))
	playModel(d, r.IntN, 5+r.IntN(40))
}

// The mailbox against its model. Again: the seed is in the failure.
func TestModel(t *testing.T) {
	seeds := uint64(200_000)
	if testing.Short() || raceEnabled { // under the race detector a seed takes twenty times as long
		seeds = 5_000
	}
	var seed uint64
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	home(t, func(d *core.Task) {
		for seed = range seeds {
			modelSeed(d, seed)
		}
	})
}

func FuzzModel(f *testing.F) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 3))
		data := make([]byte, 200)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		home(t, func(d *core.Task) {
			playModel(d, func(n int) int {
				if len(data) == 0 {
					return 0
				}
				b := data[0]
				data = data[1:]
				return int(b) % n
			}, min(len(data), 100))
		})
	})
}
