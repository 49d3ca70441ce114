package queue

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// Tasks at home, goroutines and tasks of a second scheduler send at once, as fast as they can;
// others look. The bound is never passed, the order of each sender holds, and every message is
// accounted for: sent = handled + reported.
func TestEverybodySendsAtOnce(t *testing.T) {
	each := 3000
	if testing.Short() {
		each = 300
	}
	for _, policy := range []Policy{Block, Fail, DropNewest, DropOldest, Unbounded} {
		for _, capacity := range []int{1, 2, 5, 64} {
			for _, stackless := range []bool{true, false} {
				if policy == Unbounded && capacity > 1 {
					continue
				}
				t.Run(fmt.Sprint(policy, " ", capacity, " ", stackless), func(t *testing.T) {
					stress(t, policy, capacity, each, stackless)
				})
			}
		}
	}
}

func stress(t *testing.T, policy Policy, capacity, each int, stackless bool) {
	const perKind = 2
	before := runtime.NumGoroutine()
	var sent, lost atomic.Int64
	cfg := Config{Cap: capacity, Overflow: policy, Losses: LossFunc(func(l Loss) { lost.Add(int64(l.Count)) })}
	if policy == Unbounded {
		cfg.Cap = 0
	}
	s, other := core.New(core.Config{}), core.New(core.Config{})
	handled := 0
	last := make([]int, 3*perKind)
	var m *Queue[message]
	var who [3 * perKind]int
	handle := func(v message) {
		handled++
		k := int(v.n >> 20)
		if i := v.n & (1<<20 - 1); i <= last[k] {
			fail("%d of sender %d after %d", i, k, last[k])
		} else {
			last[k] = i
		}
		if n, most := m.queue.n+m.granted, m.cap; n > most {
			fail("%d queued or promised, the capacity is %d", n, most)
		}
	}
	if stackless {
		m = &newReceiver(s, cfg, handle).box
	} else {
		m = New[message](cfg)
		spawn(s, func(t *core.Task) {
			m.Open(t)
			defer m.Discard()
			for v := range m.Receive() {
				handle(v)
			}
		})
	}
	var senders, lookers sync.WaitGroup
	send := func(ctx context.Context, k int) {
		defer senders.Done()
		for i := range each {
			v := message{from: &who[k], n: k<<20 | (i + 1)}
			err := ErrFull
			if i%3 == 0 && policy == Block {
				err = m.TrySend(ctx, v)
			}
			if err != nil {
				err = m.Send(ctx, v)
			}
			switch err {
			case nil:
				sent.Add(1)
			case ErrFull:
				if policy != Fail {
					t.Errorf("Send gave %v", err)
				}
				runtime.Gosched()
			default:
				t.Errorf("Send gave %v", err)
				return
			}
		}
	}
	for k := range 3 * perKind {
		senders.Add(1)
		switch k % 3 {
		case 0:
			spawn(s, func(t *core.Task) { send(t, k) })
		case 1:
			spawn(other, func(t *core.Task) { send(t, k) })
		case 2:
			go send(context.Background(), k)
		}
	}
	stop := make(chan struct{})
	lookers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if st := m.Stats(); st.Len > int(min(m.cap, 1<<30)) || m.Len() < 0 || st.Closed {
				t.Errorf("stats %+v", st)
				return
			}
			runtime.Gosched()
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- other.Run() }()
	go func() {
		senders.Wait()
		close(stop)
		lookers.Wait()
		m.Close()
		other.Stop()
		s.InjectFunc(func() { s.Stop() })
	}()
	mustEnd(t, s)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := sent.Load(); n != int64(handled)+lost.Load() || m.Len() != 0 {
		t.Errorf("sent %d, handled %d, reported %d, queued %d", n, handled, lost.Load(), m.Len())
	}
	if policy == Block && (handled != 3*perKind*each || lost.Load() > 0) {
		t.Errorf("handled %d, reported %d", handled, lost.Load())
	}
	if st := m.Stats(); int(st.Handled) != handled || int64(st.Dropped) != lost.Load() || st.Peak > int(m.cap) {
		t.Errorf("stats %+v", st)
	}
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 1e6 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

// Senders give up, mailboxes close and open again, readers change, all at once; the account is
// still exact.
func TestComingAndGoing(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 30
	}
	for _, policy := range []Policy{Block, DropOldest} {
		var sent, lost atomic.Int64
		s, other := core.New(core.Config{}), core.New(core.Config{})
		m := New[int](Config{Cap: 3, Overflow: policy, Losses: LossFunc(func(l Loss) { lost.Add(int64(l.Count)) })})
		handled := 0
		stop := make(chan struct{})
		var senders sync.WaitGroup
		stopped := func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		}
		for k := range 4 {
			senders.Go(func() {
				for i := 0; !stopped(); i++ {
					ctx, cancel := context.WithCancel(background)
					if (i+k)%3 == 0 {
						go cancel()
					}
					if m.Send(ctx, i) == nil {
						sent.Add(1)
					} else {
						runtime.Gosched()
					}
					cancel()
				}
			})
		}
		for range 2 {
			senders.Add(1)
			spawn(other, func(t *core.Task) {
				defer senders.Done()
				for i := 0; !stopped(); i++ {
					ctx, cancel := context.WithCancel(t)
					if i%3 == 0 {
						go cancel()
					}
					if m.Send(ctx, i) == nil {
						sent.Add(1)
					}
					cancel()
					t.Yield()
				}
			})
		}
		spawn(s, func(d *core.Task) {
			defer s.Stop()
			for i := range rounds {
				m.Open(d)
				for range i % 7 {
					d.Yield()
					for range queued(m) {
						handled++
					}
				}
				switch i % 4 {
				case 0:
					m.Hold()
				case 1:
					m.Close()
					for range m.Receive() {
						handled++
					}
					m.Hold()
					m.Reopen()
				case 2:
					m.Discard()
					m.Reopen()
				case 3:
					go m.Close()
					for range m.Receive() {
						handled++
					}
					m.CloseEmpty()
					m.Hold()
					m.Reopen()
				}
				d.Yield()
			}
			close(stop)
			m.Discard()
		})
		ended := make(chan error, 1)
		go func() { ended <- other.Run() }()
		mustEnd(t, s)
		senders.Wait()
		other.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := sent.Load(); n != int64(handled)+lost.Load() {
			t.Errorf("%v: sent %d, handled %d, reported %d", policy, n, handled, lost.Load())
		}
		if n := m.Len(); n != 0 {
			t.Errorf("%v: %d are left", policy, n)
		}
	}
}

// A batch from elsewhere wakes home and its reader once, not once for each message: while home is
// busy with something else, what comes is collected behind one knock.
func TestBatchFromElsewhereWakesOnce(t *testing.T) {
	const batch = 100
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := New[int](Config{})
		wakes, got := 0, 0
		spawn(d.Scheduler(), func(t *core.Task) {
			m.Open(t)
			for got < batch {
				if _, err := m.Next(t); err != nil {
					fail("Next: %v", err)
				}
				wakes++
				got++
				for _, ok := m.TryNext(); ok; _, ok = m.TryNext() {
					got++
				}
			}
		})
		rest() // the reader waits
		sent := make(chan struct{})
		other.InjectFunc(func() {
			spawn(other, func(t *core.Task) {
				for i := range batch {
					wantErr("Send", m.Send(t, i), nil)
				}
				close(sent)
			})
		})
		<-sent // home is held meanwhile
		x := m.ext.Load()
		x.mu.Lock()
		n, knocked := x.in.n, x.knocked
		x.mu.Unlock()
		want("on their way", int(n), batch)
		want("knocked", knocked, true)
		rest()
		want("got", got, batch)
		want("wakes", wakes, 1)
	})
}
