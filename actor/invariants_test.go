package actor_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// The soak: tasklets that do to each other, drawn by a seed, whatever tasklets can do: start, send,
// call, kill, join, close, defer, fail, panic, leave by Goexit, survive a kill, wait. After each
// step of the driver the invariants are checked, and at the end the account: every message that was
// accepted has been handled or reported, everybody who began has ended, once.
//
//	TASKLET_SOAK=1m       how long, instead of two seconds
//	TASKLET_SOAK_SEED=7   this seed only

// address is a ref with its account.
type address struct {
	name     string
	ref      actor.Ref[order]
	accepted atomic.Int64 // sends that returned nil
	calls    atomic.Int64
	begun    int64 // messages that the handler was given
	done     int64 // and that it was through with, without a failure

	// From the events.
	failed, lost, letters int64
}

// order is a message: what its receiver shall do.
type order struct {
	what  int
	reply actor.Reply[int]
	call  bool
	// delegate: the answer shall come from somebody else.
	delegate bool
}

type soak struct {
	seed  uint64
	many  int        // schedulers
	draw  *rand.Rand // of a locked source
	began map[*actor.Tasklet]int
	ended map[*actor.Tasklet]int
	// if their start fails, that is told to the starter, and is no event
	told map[*actor.Tasklet]bool
	by   map[string]*address

	mu    sync.Mutex
	all   []*address
	trace interface {
		Write([]byte) (int, error)
		Sum64() uint64
	}
	errs []error
}

type deferredPanic struct{}

func (s *soak) event(e actor.EventRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.trace, e.Seq, e.Time, e.Kind, e.Path, e.Err, e.Count)
	a := s.by[name(e.Path)]
	switch e.Kind {
	case event.Spawn:
		s.began[e.Tasklet]++
		if s.ended[e.Tasklet] > 0 {
			s.errs = append(s.errs, fmt.Errorf("%s begins after its end", e.Path))
		}
	case event.Exit:
		s.ended[e.Tasklet]++
	case event.DeadLetter:
		a.letters += count(e)
	case event.MessageLost:
		a.lost += count(e)
	case event.Failure:
		var p *actor.PanicError
		if errors.As(e.Err, &p) && p.Value == (deferredPanic{}) || errors.Is(e.Err, actor.ErrGoexit) {
			return // of a deferred call
		}
		if a != nil {
			a.failed += count(e)
		}
	case event.StopTimeout, event.Leak:
		s.errs = append(s.errs, fmt.Errorf("%s %s", e.Kind, e.Path))
	}
}

func name(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

func (s *soak) pick() *address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[s.draw.IntN(len(s.all))]
}

func (s *soak) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// lockedSource is a source of random numbers for several schedulers.
type lockedSource struct {
	mu  sync.Mutex
	src rand.Source // mu protects
}

func (l *lockedSource) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.src.Uint64()
}

// open starts a receiver of a random kind under p.
func (s *soak) open(p actor.Spawner) {
	s.mu.Lock()
	a := &address{name: fmt.Sprintf("r%d", len(s.by))}
	s.by[a.name] = a
	s.mu.Unlock()
	var opts []actor.Option
	policy := mailbox.Policy(s.draw.IntN(5))
	opts = append(opts, actor.Name(a.name), actor.Overflow(policy))
	if policy != mailbox.Unbounded {
		opts = append(opts, actor.MailboxLen(1+s.draw.IntN(5)))
	}
	rest := []actor.Option{actor.Shutdown([]time.Duration{0, actor.BrutalKill, 1, time.Second}[s.draw.IntN(4)])}
	daemon := s.draw.IntN(8) == 0
	if daemon {
		rest = append(rest, actor.Daemon())
	}
	if s.many > 1 {
		if n := s.draw.IntN(s.many + 2); n < s.many {
			rest = append(rest, actor.OnScheduler(n))
		} else if n == s.many {
			rest = append(rest, actor.Spread())
		}
	}
	kind := s.draw.IntN(4)
	if kind < 2 {
		switch s.draw.IntN(3) {
		case 0:
			rest = append(rest, actor.OnFailure(actor.End))
		case 1:
			if !daemon {
				rest = append(rest, actor.OnFailure(actor.Escalate))
			}
		}
	}
	one := func(t *actor.Tasklet, o order) error {
		a.begun++
		err := s.do(t, o)
		if actor.KindOf(err) <= reason.Shutdown {
			a.done++
		}
		return err
	}
	switch kind {
	case 0:
		a.ref = actor.Receiver(p, one, append(opts, rest...)...)
	case 1:
		size, wait := 1+s.draw.IntN(4), []time.Duration{0, 3 * time.Millisecond, -1}[s.draw.IntN(3)]
		a.ref = actor.BatchReceiver(p, size, wait, func(t *actor.Tasklet, os []order) error {
			a.begun += int64(len(os))
			err := s.do(t, os[0])
			if actor.KindOf(err) <= reason.Shutdown {
				a.done += int64(len(os))
			}
			return err
		}, append(opts, rest...)...)
	case 2:
		a.ref = actor.NewRef[order](opts...)
		actor.StartTasklet(p, actor.ReceiverInitBody(a.ref, func(t *actor.Tasklet) (func(*actor.Tasklet, order) error, error) {
			if s.draw.IntN(4) == 0 {
				t.Sleep(time.Duration(s.draw.IntN(5)) * time.Millisecond)
			}
			if s.draw.IntN(10) == 0 {
				return nil, errBoom
			}
			return one, nil
		}), rest...)
	case 3:
		a.ref = actor.Spawn(p, func(t *actor.Tasklet, in *mailbox.Mailbox[order]) error {
			for o := range in.Receive() {
				// A reader answers for its own messages: whatever happens, this one is done.
				a.begun++
				a.done++
				if err := s.do(t, o); err != nil {
					return err
				}
			}
			return nil
		}, append(opts, rest...)...)
	}
	s.mu.Lock()
	s.all = append(s.all, a)
	s.mu.Unlock()
}

// exact: half of the runs make no calls, since who gives up a call can't know whether it was
// accepted.
func (s *soak) exact() bool { return s.seed%2 == 0 }

// within gives t's own context, or one with a time limit.
func (s *soak) within(t *actor.Tasklet) (context.Context, func()) {
	if s.draw.IntN(4) == 0 {
		return t, func() {}
	}
	return actor.WithTimeout(t, time.Duration(1+s.draw.IntN(20))*time.Millisecond)
}

func (s *soak) order() order { return order{what: s.draw.IntN(100)} }

func (s *soak) send(t *actor.Tasklet, to *address) {
	ctx, cancel := s.within(t)
	defer cancel()
	send := to.ref.Send
	if s.draw.IntN(4) == 0 {
		send = to.ref.TrySend
	}
	if send(ctx, s.order()) == nil {
		to.accepted.Add(1)
	}
}

// do is what a tasklet does for an order.
func (s *soak) do(t *actor.Tasklet, o order) error {
	if o.delegate {
		if to := s.pick().ref.Tasklet(); to != nil {
			o.reply.Delegate(to)
			t.Defer(func() { _ = o.reply.Send(t, o.what) })
		}
	} else if o.call && s.draw.IntN(4) > 0 {
		defer func() { _ = o.reply.Send(t, o.what) }()
	}
	switch w := o.what; {
	case w < 20:
		t.Sleep(time.Duration(w) * time.Millisecond / 2)
	case w < 25:
		t.Yield()
	case w < 40:
		for range s.draw.IntN(4) {
			s.send(t, s.pick())
		}
	case w < 48:
		if s.exact() {
			return nil
		}
		to := s.pick()
		ctx, cancel := s.within(t)
		defer cancel()
		to.calls.Add(1) // or what else may be sent or not, without anybody being told
		switch s.draw.IntN(8) {
		case 0:
			if target := s.pick().ref.Tasklet(); target != nil && target != t {
				cancel := actor.Watch(t, target, to.ref, func(actor.Exit) order { return s.order() })
				if s.draw.IntN(2) == 0 {
					t.Defer(func() { cancel() })
				}
			}
		case 1:
			tm := actor.SendAfter(t, time.Duration(s.draw.IntN(10))*time.Millisecond, to.ref, s.order())
			if s.draw.IntN(2) == 0 {
				t.Sleep(2 * time.Millisecond)
				tm.Stop()
			}
		case 2:
			cancel := actor.Pipe(t, func(context.Context) (int, error) { return 0, nil }, to.ref, func(int, error) order { return s.order() })
			if s.draw.IntN(4) == 0 {
				cancel()
			}
		default:
			_, _ = actor.Call(ctx, to.ref, func(r actor.Reply[int]) order {
				return order{what: s.draw.IntN(100), reply: r, call: true, delegate: s.draw.IntN(8) == 0}
			})
		}
	case w < 55:
		if s.count() < 60 {
			s.open(t)
		}
	case w < 58:
		s.pick().ref.Kill()
	case w < 60:
		t.Kill()
		t.Yield()
	case w < 64:
		ctx, cancel := s.within(t)
		defer cancel()
		_ = s.pick().ref.Join(ctx)
	case w < 66:
		s.pick().ref.Close()
	case w < 70:
		t.Defer(func() { t.Sleep(time.Millisecond) })
	case w < 72:
		t.Defer(func() { panic(deferredPanic{}) })
	case w < 73:
		t.Defer(runtime.Goexit)
	case w < 78:
		return errBoom
	case w < 82:
		panic(errBoom)
	case w < 83:
		runtime.Goexit()
	case w < 87:
		func() { // survives one kill
			defer func() { _ = recover() }()
			t.Sleep(30 * time.Millisecond)
		}()
	case w < 89:
		return actor.ErrStop
	case w < 90:
		return actor.ErrShutdown
	case w < 92:
		s.child(t)
	case w < 93:
		k := actor.New(t, func(t *actor.Tasklet) (int, error) { t.Sleep(5 * time.Millisecond); return w, s.fail() })
		if s.draw.IntN(2) == 0 {
			_, _ = k.Join(t)
		}
	case w < 95:
		actor.Interval(t, 2*time.Millisecond, func(t *actor.Tasklet) error { s.send(t, s.pick()); return s.fail() })
	case w < 97:
		_, _ = actor.Await(t, func(context.Context) (int, error) { runtime.Gosched(); return 0, nil })
	case w < 99:
		defer s.send(t, s.pick()) // while something unwinds, perhaps
		t.Sleep(10 * time.Millisecond)
	default:
		_, _ = t.JoinChildren(t)
	}
	return nil
}

var depth = actor.NewLocal(func() int { return 0 })

// child starts a child somewhere, waits for its start as long as it likes, and stops it or leaves
// it alone.
func (s *soak) child(t *actor.Tasklet) {
	ctx, cancel := s.within(t)
	defer cancel()
	depth.Set(t, depth.Get(t)+1)
	opts := []actor.Option{actor.Shutdown(time.Duration(1+s.draw.IntN(20)) * time.Millisecond)}
	if s.many > 1 {
		opts = append(opts, actor.OnScheduler(s.draw.IntN(s.many)))
	}
	ends, supervised := 0, s.draw.IntN(2) == 0
	body := actor.ReceiverInitBody(actor.NewRef[int](), func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
		_ = depth.Get(c)
		s.mu.Lock()
		s.told[c] = supervised
		s.mu.Unlock()
		c.Sleep(time.Duration(s.draw.IntN(5)) * time.Millisecond)
		return func(*actor.Tasklet, int) error { return nil }, s.fail()
	})
	if !supervised {
		c := actor.StartTasklet(t, body, opts...)
		if c.Started(ctx) == nil && s.draw.IntN(3) > 0 {
			_ = actor.StopChild(ctx, c, 0)
			if ctx.Err() == nil && (!c.HasFinished() || actor.IsLinked(c)) {
				panic("a stopped child has not finished, or is in the tree")
			}
		}
		return
	}
	slot, err := actor.NewSlot(t, body, func(actor.Exit) { // on t's scheduler, once
		if ends++; ends > 1 {
			panic("the end of a child was told of twice")
		}
	}, opts...)
	if err != nil {
		panic(err)
	}
	c, err := slot.Start(ctx)
	if err == nil && s.draw.IntN(3) > 0 {
		_ = slot.Stop(ctx)
		if slot.Tasklet() == nil {
			slot.Retire()
		}
		if ctx.Err() == nil && (!c.HasFinished() || actor.IsLinked(c)) {
			panic("a stopped child has not finished, or is in the tree")
		}
	}
}

func (s *soak) fail() error {
	switch s.draw.IntN(8) {
	case 0:
		return errBoom
	case 1:
		panic(errBoom)
	case 2:
		return actor.ErrStop
	}
	return nil
}

// run gives a digest of the events.
func (s *soak) run(steps int, outside int) (digest uint64, err error) {
	if s.draw == nil {
		s.draw = rand.New(&lockedSource{src: rand.NewPCG(s.seed, 7)})
	}
	s.trace = fnv.New64a()
	s.told = map[*actor.Tasklet]bool{}
	s.began, s.ended, s.by = map[*actor.Tasklet]int{}, map[*actor.Tasklet]int{}, map[string]*address{}
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: s.seed, OnEvent: s.event, Schedulers: s.many}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for g := range outside {
		wg.Go(func() { s.disturb(ctx, g) })
	}
	var broken error
	err = actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		defer stop()
		for range 5 {
			s.open(t0)
		}
		for range steps {
			func() {
				defer func() { _ = recover() }() // an escalation, or a kill drawn for main's child
				switch s.draw.IntN(10) {
				case 0:
					if s.count() < 60 || actor.Finished(s.pick().ref) && s.count() < 500 {
						s.open(t0)
					}
				case 1:
					t0.Sleep(time.Duration(s.draw.IntN(10)) * time.Millisecond)
				case 2:
					t0.Yield()
				case 3:
					if s.draw.IntN(5) == 0 {
						s.pick().ref.Kill()
					}
				default:
					to := s.pick()
					if to.ref.TrySend(t0, s.order()) == nil {
						to.accepted.Add(1)
					}
				}
			}()
			if s.many > 1 {
				continue // nobody can look at all of them at one moment
			}
			if broken = t0.System().Check(); broken != nil {
				return broken
			}
		}
		return nil
	})
	stop()
	wg.Wait()
	if broken != nil {
		return 0, broken
	}
	var ce *actor.ChildError
	if err != nil && !errors.As(err, &ce) {
		return 0, fmt.Errorf("Run: %w", err)
	}
	return s.trace.Sum64(), s.account()
}

// disturb is a goroutine that uses the refs from outside.
func (s *soak) disturb(ctx context.Context, g int) {
	draw := rand.New(rand.NewPCG(s.seed, uint64(100+g)))
	// not without end: as long as somebody sends from outside, virtual time may stand still
	for range 5000 {
		if ctx.Err() != nil {
			return
		}
		runtime.Gosched()
		s.mu.Lock()
		var a *address
		if n := len(s.all); n > 0 {
			a = s.all[draw.IntN(n)]
		}
		s.mu.Unlock()
		if a == nil {
			continue
		}
		switch draw.IntN(20) {
		case 0:
			if draw.IntN(20) == 0 {
				a.ref.Kill()
			}
		case 1:
			if draw.IntN(100) == 0 {
				a.ref.Close()
			}
		case 2:
			if t := a.ref.Tasklet(); t != nil {
				_ = t.Info()
				_ = t.Children()
				_ = t.Err()
				_ = t.Done()
			}
		case 3:
			done, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Microsecond, cancel)
			_ = a.ref.Join(done)
		case 4:
			if s.exact() {
				continue
			}
			done, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Microsecond, cancel)
			a.calls.Add(1)
			_, _ = actor.Call(done, a.ref, func(r actor.Reply[int]) order { return order{what: draw.IntN(100), reply: r, call: true} })
		case 5, 6, 7:
			done, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Microsecond, cancel)
			if a.ref.Send(done, order{what: draw.IntN(100)}) == nil {
				a.accepted.Add(1)
			}
		default:
			if a.ref.TrySend(ctx, order{what: draw.IntN(100)}) == nil {
				a.accepted.Add(1)
			}
		}
	}
}

// account is what must hold when all is over.
func (s *soak) account() error {
	errs := s.errs
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for t, n := range s.began {
		if n != 1 || s.ended[t] > 1 || s.ended[t] < 1 && !s.told[t] || !t.HasFinished() {
			fail("%s began %d times, ended %d times, finished %v", t.Path(), n, s.ended[t], t.HasFinished())
		}
	}
	for _, a := range s.all {
		if !actor.Finished(a.ref) || a.ref.Len() != 0 {
			fail("%s has not finished, or has %d messages", a.name, a.ref.Len())
		}
		in, out := a.accepted.Load(), a.begun+a.letters
		if out < in || out > in+a.calls.Load() {
			fail("%s: %d sends were accepted, with %d calls; %d were handled and %d reported", a.name, in, a.calls.Load(), a.begun, a.letters)
		}
		if a.begun != a.done+a.failed+a.lost {
			fail("%s: of %d that it began to handle %d are done, %d failed, %d are lost", a.name, a.begun, a.done, a.failed, a.lost)
		}
	}
	return errors.Join(errs...)
}

func TestSoak(t *testing.T) {
	budget := 2 * time.Second
	if testing.Short() {
		budget = 200 * time.Millisecond
	}
	if v := os.Getenv("TASKLET_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		require.NoError(t, err)
		budget = d
	}
	one := func(seed uint64) {
		t.Helper()
		for _, c := range []struct{ outside, many int }{{0, 1}, {2, 1}, {0, 3}, {2, 3}} {
			before := runtime.NumGoroutine()
			first, err := (&soak{seed: seed, many: c.many}).run(300, c.outside)
			if err != nil {
				t.Fatalf("%v\nagain: TASKLET_SOAK_SEED=%d go test -run 'TestSoak$' ./actor", err, seed)
			}
			settle(t, before)
			if c.outside > 0 || c.many > 1 {
				continue // what runs at the same time is not repeatable
			}
			second, err := (&soak{seed: seed, many: 1}).run(300, 0)
			if err != nil || first != second {
				t.Fatalf("seed %d: another run, another trace (%v)", seed, err)
			}
		}
	}
	if v := os.Getenv("TASKLET_SOAK_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		one(seed)
		return
	}
	begin := time.Now()
	n := uint64(0)
	for time.Since(begin) < budget {
		n++
		from := time.Now()
		one(n)
		if d := time.Since(from); d > time.Second {
			t.Logf("seed %d took %v", n, d)
		}
	}
	t.Log("seeds:", n)
}

// byteSource draws what the fuzzer wants, two bytes a number, and then what a generator gives: one
// that gave always the same would keep IntN from ending.
type byteSource struct {
	rest []byte
	then *rand.PCG
}

func (b *byteSource) Uint64() uint64 {
	if len(b.rest) < 2 {
		return b.then.Uint64()
	}
	high := uint64(b.rest[0])<<56 | uint64(b.rest[1])<<48 // IntN scales by the high bits
	b.rest = b.rest[2:]
	return high | b.then.Uint64()>>16
}

// FuzzTasklets is the soak with a fuzzer that draws instead of a seed: what tasklets do to each
// other, with the invariants after each step, and the account at the end.
func FuzzTasklets(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 11))
		data := make([]byte, 600)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(seed, data)
	}
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		if len(data) > 4000 {
			data = data[:4000]
		}
		s := &soak{seed: max(seed, 1), draw: rand.New(&byteSource{data, rand.NewPCG(seed, 1)})}
		if _, err := s.run(min(len(data)/4, 60), 0); err != nil {
			t.Fatal(err)
		}
	})
}
