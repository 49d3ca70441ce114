package machine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor/machine"
)

// The model is the obvious machine: a list of messages of which the first few are stashed, a state,
// and a time. A seed draws a table of what each state does with each kind of message, at its
// beginning, and when its time is over; and then the commands: sends, waits, kills, closes, drains
// and restarts. After each command the machine and the model must have done the same, at the same
// times, and must have lost the same messages.

type action int

const (
	handle action = iota
	stash
	become
	stashAndBecome
	becomeItself
	unstash
	failing
	panicking
	slow // 4 ms, then handle
	stashAndFail
	slowStash // stash, and then 4 ms
	becomeAndFail
	unstashAndPanic
	becomeAndPanic
	stop
	actions
)

const states = 3

// table says what the states do.
type table struct {
	on      [states][actions]action // by the kind of the message
	next    [states]int
	enter   [states]action
	expire  [states]action
	timeout [states]time.Duration
	limit   int // of the stash
	retry   int
	resume  bool
	cap     int
	policy  mailbox.Policy
}

func drawTable(r *rand.Rand) *table {
	t := &table{retry: r.IntN(3), resume: r.IntN(3) == 0, cap: 3 + r.IntN(5)}
	t.limit = 1 + r.IntN(t.cap-1)
	t.policy = []mailbox.Policy{mailbox.Fail, mailbox.DropOldest, mailbox.DropNewest}[r.IntN(3)]
	for s := range states {
		for k := range actions {
			t.on[s][k] = []action{handle, stash, stash, stash, become, become, k}[r.IntN(7)]
		}
		t.next[s] = r.IntN(states)
		for k, a := range t.on[s] {
			if a == stashAndBecome && t.next[s] <= s {
				t.on[s][k] = stash // otherwise it could go round without end
			}
		}
		t.enter[s] = []action{handle, handle, handle, slow, failing, panicking, unstash}[r.IntN(7)]
		if s < states-1 && r.IntN(4) == 0 {
			t.enter[s] = become // to the next one, so this ends
		}
		t.expire[s] = []action{handle, become, becomeItself, become, slow, failing, panicking, unstash, stop}[r.IntN(9)]
		if r.IntN(2) == 0 {
			t.timeout[s] = time.Duration(2+2*r.IntN(6)) * time.Millisecond
		}
	}
	return t
}

type message struct {
	id   int
	kind action
}

var errPlanned = errors.New("planned")

// real is the machine at work.
type real struct {
	*table
	log   []string
	start time.Time
	t     *actor.Tasklet
	m     *machine.Machine[message]
	all   [states]*machine.State[message]
}

func (x *real) logf(format string, args ...any) {
	at := x.t.System().Now().Sub(x.start) / time.Millisecond
	x.log = append(x.log, fmt.Sprintf("%d ", int64(at))+fmt.Sprintf(format, args...))
}

func (x *real) body(ref actor.Ref[message]) actor.Body {
	return machine.Body(ref, machine.Config{Stash: x.limit}, func(t *actor.Tasklet, m *machine.Machine[message]) (*machine.State[message], error) {
		x.t, x.m = t, m
		x.logf("init")
		for s := range states {
			x.all[s] = &machine.State[message]{
				Name:      string(rune('A' + s)),
				Handle:    func(_ *actor.Tasklet, msg message) error { return x.do(s, x.on[s][msg.kind], fmt.Sprint(msg.id)) },
				Enter:     func(*actor.Tasklet) error { return x.do(s, x.enter[s], "enter") },
				Timeout:   x.timeout[s],
				OnTimeout: func(*actor.Tasklet) error { return x.do(s, x.expire[s], "timeout") },
			}
		}
		return x.all[0], nil
	})
}

func (x *real) do(s int, a action, what string) error {
	x.logf("%s %s", x.all[s].Name, what)
	next := x.all[x.next[s]]
	if what == "enter" {
		next = x.all[min(s+1, states-1)]
	}
	switch a {
	case stash:
		return x.m.Stash()
	case become:
		x.m.Become(next)
	case stashAndBecome:
		x.m.Become(next)
		return x.m.Stash()
	case becomeItself:
		x.m.Become(x.all[s])
	case unstash:
		x.m.Unstash()
	case failing:
		return errPlanned
	case panicking:
		panic(errPlanned)
	case slow:
		x.t.Sleep(4 * time.Millisecond)
	case stashAndFail:
		if err := x.m.Stash(); err != nil {
			return err
		}
		return errPlanned
	case slowStash:
		if err := x.m.Stash(); err != nil {
			return err
		}
		x.t.Sleep(4 * time.Millisecond)
	case becomeAndFail:
		x.m.Become(next)
		return errPlanned
	case unstashAndPanic:
		x.m.Unstash()
		panic(errPlanned)
	case becomeAndPanic:
		x.m.Become(next)
		panic(errPlanned)
	case stop:
		return actor.ErrStop
	}
	x.logf("done")
	return nil
}

// model is what the machine should do.
type model struct {
	*table
	log  []string
	lost []int // in hand, or dropped, or left at the end
	now  int64 // ms

	lives, closed, reopen bool
	queue                 []item
	stashed               int
	state                 int
	turn, replay, begins  bool
	next                  int
	at                    int64 // 0: no limit
	first                 bool
	hand                  *item
	calling               bool  // in the middle of a slow call
	until                 int64 // of the slow call
}

type item struct {
	message
	tries int
}

func (m *model) logf(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%d ", m.now)+fmt.Sprintf(format, args...))
	if len(m.log) > 10_000 {
		panic("the model goes round without end")
	}
}

func (m *model) send(msg message) error {
	switch {
	case m.closed:
		return mailbox.ErrClosed
	case len(m.queue) < m.cap:
	case m.policy == mailbox.Fail:
		return mailbox.ErrFull
	case m.policy == mailbox.DropNewest:
		m.lost = append(m.lost, msg.id)
		return nil
	default:
		m.lost = append(m.lost, m.queue[0].id)
		m.queue = m.queue[1:]
		m.stashed = max(0, m.stashed-1)
	}
	m.queue = append(m.queue, item{message: msg})
	return nil
}

func (m *model) start() {
	if m.reopen {
		m.reopen, m.closed = false, false
	}
	m.logf("init")
	m.lives, m.first = true, true
	m.turn, m.next, m.state = true, 0, 0
	m.at, m.begins, m.replay = 0, false, false
}

// end is the end of the body.
func (m *model) end(failure bool) {
	if m.hand != nil && failure {
		if m.hand.tries < m.retry {
			h := *m.hand
			h.tries++
			m.queue = append([]item{h}, m.queue...)
		} else {
			m.lost = append(m.lost, m.hand.id)
		}
	}
	m.hand, m.calling = nil, false
	m.lives, m.stashed = false, 0
	if !failure {
		m.reopen = true
	}
}

func (m *model) discard() {
	for _, i := range m.queue {
		m.lost = append(m.lost, i.id)
	}
	m.queue, m.stashed = nil, 0
}

// run goes on until the moment end.
func (m *model) run(end int64) {
	for m.lives {
		switch {
		case m.calling:
			if m.until > end {
				m.now = end
				return
			}
			m.now, m.calling = m.until, false
			m.logf("done")
			m.returned(nil)
			continue
		case m.begins && !m.turn:
			m.begins = false
			if d := m.timeout[m.state]; d > 0 {
				m.at = m.now + int64(d/time.Millisecond)
			}
			continue
		case m.turn:
			m.turn, m.begins, m.at, m.state = false, true, 0, m.next
			m.do(m.enter[m.state], "enter")
			continue
		case m.at != 0 && m.at <= m.now:
			m.at = 0
			m.do(m.expire[m.state], "timeout")
			continue
		case len(m.queue) > m.stashed:
			i := m.queue[m.stashed]
			m.queue = slices.Delete(slices.Clone(m.queue), m.stashed, m.stashed+1)
			if !m.first {
				i.tries = 0
			}
			m.first = false
			m.hand = &i
			m.do(m.on[m.state][i.kind], fmt.Sprint(i.id))
			continue
		case m.closed && (m.at == 0 || m.stashed == 0):
			m.end(false)
			continue
		case m.at != 0 && m.at <= end:
			m.now = m.at
			continue
		}
		break
	}
	m.now = end
}

func (m *model) do(a action, what string) {
	m.logf("%c %s", 'A'+m.state, what)
	next := m.table.next[m.state]
	if what == "enter" {
		next = min(m.state+1, states-1)
	}
	switch a {
	case stash, stashAndFail, slowStash, stashAndBecome:
		if a == stashAndBecome {
			m.turn, m.next = true, next
		}
		if m.stashed == m.limit {
			m.returned(machine.ErrStashFull)
			return
		}
		m.hand.tries = 0
		m.queue = slices.Insert(slices.Clone(m.queue), m.stashed, *m.hand)
		m.stashed++
		m.hand = nil
		switch a {
		case stashAndFail:
			m.returned(errPlanned)
			return
		case stash, stashAndBecome:
			m.returned(nil)
			return
		}
	case become:
		m.turn, m.next = true, next
	case becomeItself:
		m.turn, m.next = true, m.state
	case unstash:
		m.replay = true
	case becomeAndFail, failing, panicking, unstashAndPanic, becomeAndPanic:
		m.returned(errPlanned)
		return
	case stop:
		m.returned(actor.ErrStop)
		return
	}
	if a == slow || a == slowStash {
		m.calling, m.until = true, m.now+4
		return
	}
	m.logf("done")
	m.returned(nil)
}

func (m *model) returned(err error) {
	switch {
	case err == actor.ErrStop:
		m.hand = nil
		m.end(false)
		return
	case err != nil && !m.resume:
		m.end(true)
		return
	case err != nil:
		m.turn, m.replay = false, false
		if m.hand != nil {
			m.lost = append(m.lost, m.hand.id)
		}
	}
	m.hand = nil
	if m.turn || m.replay {
		m.replay = false
		m.stashed = 0
	}
}

// play plays one seed, and returns what differs.
func play(seed uint64) (problem string) {
	r := rand.New(rand.NewPCG(seed, 1))
	x := &real{table: drawTable(r)}
	w := &model{table: x.table}
	var commands []string
	lost := map[any]bool{}
	account := 0
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), StallAfter: -1, Seed: seed + 1, Logger: zap.NewNop(),
		OnEvent: func(e actor.EventRecord) {
			switch e.Kind {
			case event.DeadLetter, event.MessageLost, event.Failure:
				account += e.Count
			}
		},
	}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		x.start, x.t = t.System().Now(), t
		letters := actor.Receiver(t, func(_ *actor.Tasklet, d actor.DeadLetter) error {
			lost[d.Message.(message).id] = true
			return nil
		}, actor.Overflow(mailbox.Unbounded), actor.Daemon())
		defer actor.DeadLetters(t.System(), letters)()
		ref := actor.NewRef[message](actor.MailboxLen(x.cap), actor.Overflow(x.policy), actor.Name("m"))
		opts := []actor.Option{actor.Retry(x.retry)}
		if x.resume {
			opts = append(opts, actor.OnFailure(actor.Resume))
		}
		slot, err := actor.NewSlot(t, x.body(ref), nil, opts...)
		if err != nil {
			return err
		}
		wait := func(ms int64) {
			t.Sleep(time.Duration(ms) * time.Millisecond)
			for range 50 { // until the machine has done what it has to do at that time
				t.Yield()
			}
			w.run(w.now + ms)
		}
		start := func() {
			if slot.Tasklet() == nil {
				w.start()
				_, _ = slot.Start(t)
			}
		}
		id := 0
		for range 10 + r.IntN(30) {
			c := r.IntN(14)
			n := 1 + r.IntN(4)
			commands = append(commands, fmt.Sprintf("%d: %d,%d", w.now, c, n))
			switch c {
			case 0, 1, 2, 3, 4:
				for range n {
					id++
					msg := message{id, action(r.IntN(int(actions)))}
					got, want := ref.TrySend(t, msg), w.send(msg)
					if got != want {
						problem = fmt.Sprintf("send of %d returned %v, want %v", id, got, want)
						return nil
					}
				}
				if r.IntN(8) == 0 {
					c = 10
				}
			case 5, 6, 7:
				wait(2 * int64(n))
			case 8, 9:
				start()
			case 11:
				if r.IntN(3) == 0 {
					ref.Close()
					w.closed = true
				}
			case 12:
				if r.IntN(2) == 0 && slot.Tasklet() == nil {
					slot.Close()
					w.discard()
					w.closed, w.reopen = true, true
				}
			case 13:
				if r.IntN(3) == 0 && slot.Tasklet() != nil {
					slot.Drain()
					w.closed = true
				}
			}
			if c == 10 {
				if k := slot.Tasklet(); k != nil {
					k.Kill()
					w.end(true)
				}
			}
			wait(2)
			if slot.Tasklet() == nil && w.lives || slot.Tasklet() != nil && !w.lives {
				problem = fmt.Sprintf("it lives: %v", !w.lives)
				return nil
			}
			if !slices.Equal(x.log, w.log) {
				problem = "the logs differ"
				return nil
			}
			st := slot.Info().Mailbox
			if st.Len != len(w.queue) || slot.Queued() != len(w.queue) || ref.Len() != len(w.queue) {
				problem = fmt.Sprintf("%d messages are queued, want %d", st.Len, len(w.queue))
				return nil
			}
			if k := slot.Tasklet(); k != nil {
				labels := k.Info().Labels
				if want := string(rune('A' + w.state)); labels["state"] != want {
					problem = fmt.Sprintf("the state is %v, want %s", labels, want)
					return nil
				}
				want := ""
				if w.stashed > 0 {
					want = fmt.Sprintf("%d of %d", w.stashed, w.limit)
				}
				if labels["stash"] != want {
					problem = fmt.Sprintf("the labels are %v, want %q", labels, want)
					return nil
				}
			}
			if err := t.System().Check(); err != nil {
				problem = err.Error()
				return nil
			}
		}
		if err := slot.Stop(t); err != nil {
			return err
		}
		if w.lives {
			w.end(true)
		}
		slot.Retire()
		w.discard()
		t.Sleep(time.Millisecond)
		if account != len(w.lost) {
			problem = fmt.Sprintf("%d are reported as lost, want %d: %v", account, len(w.lost), w.lost)
		}
		return nil
	})
	if err != nil {
		problem = err.Error()
	}
	if !x.resume && problem == "" { // otherwise failures are no dead letters
		for _, id := range w.lost {
			if !lost[id] {
				problem = fmt.Sprintf("message %d is lost, and no dead letter", id)
			}
		}
		if len(lost) != len(w.lost) {
			problem = fmt.Sprintf("%d dead letters, want %d", len(lost), len(w.lost))
		}
	}
	if problem != "" {
		problem = fmt.Sprintf("seed %d: %s\n%+v\ncommands %v\ngot  %q\nwant %q", seed, problem, *x.table, commands, x.log, w.log)
	}
	return problem
}

func TestModel(t *testing.T) {
	seeds := uint64(20_000)
	if testing.Short() || raceEnabled {
		seeds = 1_000
	}
	for seed := range seeds {
		if problem := play(seed); problem != "" {
			t.Fatal(problem)
		}
	}
}
