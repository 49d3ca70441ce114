package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
)

// outboxes is what Node.Outboxes returns for the nodes of a pair.
type outboxes struct{ known, awake, targets, inlets int }

func (p *pair) outboxes() (o outboxes) {
	o.known, o.awake, o.targets, _ = p.a.Outboxes()
	_, _, _, o.inlets = p.b.Outboxes()
	return o
}

// A ref takes a tasklet when it is first used, and gives it up when it is not used for some time,
// but still learns the end of the tasklet on the other node. When nobody has it, it is forgotten.
func TestOutboxSleeps(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 5 * time.Millisecond})
		got := 0
		ref, there := claim(p, "x", func(t *actor.Tasklet, m say) error { got += m.N; return nil })
		require.Equal(p.tb, outboxes{known: 1}, p.outboxes(), "nothing is there before the first message")
		require.Nil(p.tb, ref.Tasklet())

		require.NoError(p.tb, ref.Send(t, say{N: 1}))
		t.Sleep(time.Second)
		require.Equal(p.tb, 1, got)
		require.Equal(p.tb, outboxes{1, 1, 1, 1}, p.outboxes())
		require.NotNil(p.tb, ref.Tasklet())

		for range 3 {
			t.Sleep(15 * time.Second)
			require.Equal(p.tb, outboxes{1, 0, 1, 1}, p.outboxes())
			require.Nil(p.tb, ref.Tasklet())
			require.NoError(p.tb, ref.Send(t, say{N: 1}))
			t.Sleep(time.Second)
			require.Equal(p.tb, outboxes{1, 1, 1, 1}, p.outboxes())
		}
		require.Equal(p.tb, 4, got)
		for range 30 { // it stays awake while it is used
			require.NoError(p.tb, ref.Send(t, say{N: 1}))
			t.Sleep(time.Second)
			require.NotNil(p.tb, ref.Tasklet())
		}
		require.Equal(p.tb, 34, got)
		p.a.Drowse() // a message comes before it sleeps
		require.NoError(p.tb, ref.Send(t, say{N: 1}))
		t.Sleep(time.Second)
		require.Equal(p.tb, 35, got)
		require.NotNil(p.tb, ref.Tasklet())

		t.Sleep(15 * time.Second)
		there.Close()
		t.Sleep(time.Second)
		require.True(p.tb, ref.IsDead(), "the end is noticed by a ref that sleeps")
		require.ErrorIs(p.tb, ref.Send(t, say{}), mailbox.ErrClosed)
		require.NoError(p.tb, ref.Join(t))
		require.Equal(p.tb, outboxes{}, p.outboxes())
		require.Empty(p.tb, p.a.Held())
	})
}

// The result of the tasklet is that of a ref that slept when the tasklet ended.
func TestOutboxThatSleepsEndsWithTheResult(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, there := claim(p, "x", func(*actor.Tasklet, say) error { return nil })
		require.NoError(p.tb, ref.Send(t, say{}))
		t.Sleep(15 * time.Second)
		require.Nil(p.tb, ref.Tasklet())
		there.KillCause(t, errors.New("enough"))
		t.Sleep(time.Second)
		require.True(p.tb, ref.IsDead())
		require.ErrorIs(p.tb, ref.Join(t), actor.ErrKilled)
	})
}

// Whoever waits for the end keeps the ref awake, and wakes one that sleeps or was never used.
func TestOutboxIsAwakeForThoseWhoWait(t *testing.T) {
	ways := map[string]func(t *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()){
		"Watch": func(t *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()) {
			to := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Exit) error { end(e.Err); return nil })
			stop := actor.Watch(t, ref, to, func(e actor.Exit) actor.Exit { return e })
			return func() { stop() }
		},
		"WatchLineage": func(t *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()) {
			to := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Life) error {
				if e.Over {
					end(e.Exit.Err)
				}
				return nil
			})
			stop := actor.WatchLineage(t, ref, to, func(e actor.Life) actor.Life { return e })
			return func() { stop() }
		},
		"OnEnd": func(_ *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()) {
			return ref.OnEnd(func() { end(actor.ErrKilled) })
		},
		"Join": func(t *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()) {
			c := actor.Go(t, func(t *actor.Tasklet) error { end(ref.Join(t)); return nil })
			t.Yield()
			return c.Kill
		},
		"Link": func(t *actor.Tasklet, ref actor.Ref[say], end func(error)) (cancel func()) {
			here := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }, actor.OnFailure(actor.End))
			unlink, err := actor.Link(ref, here)
			require.NoError(actortest.TB(t), err)
			c := actor.Go(t, func(t *actor.Tasklet) error { end(here.Join(t)); return nil })
			return func() { require.True(actortest.TB(t), unlink()); c.Kill() }
		},
	}
	for name, way := range ways {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", used), func(t *testing.T) {
				actortest.Run(t, func(t *actor.Tasklet) {
					p := newPair(t, clustertest.Faults{})
					ref, there := claim(p, "x", func(*actor.Tasklet, say) error { return nil })
					if used {
						require.NoError(p.tb, ref.Send(t, say{}))
						t.Sleep(15 * time.Second)
						require.Nil(p.tb, ref.Tasklet())
					}
					var ends []error
					cancel := way(t, ref, func(err error) { ends = append(ends, err) })
					t.Sleep(time.Minute)
					require.Equal(p.tb, outboxes{1, 1, 1, 1}, p.outboxes())
					cancel()
					t.Sleep(15 * time.Second)
					require.Equal(p.tb, outboxes{1, 0, 1, 1}, p.outboxes())
					require.Empty(p.tb, ends)
					way(t, ref, func(err error) { ends = append(ends, err) })
					t.Sleep(15 * time.Second)
					there.Kill()
					t.Sleep(time.Second)
					require.Len(p.tb, ends, 1)
					require.ErrorIs(p.tb, ends[0], actor.ErrKilled)
				})
			})
		}
	}
}

// What a ref that slept has in its mailbox when its node is lost is reported, and Leave waits for
// what it has in its mailbox.
func TestOutboxThatSleepsLosesNothing(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			letters := 0
			actortest.Run(t, func(t *actor.Tasklet) {
				p := newPair(t, clustertest.Faults{Delay: 30 * time.Millisecond})
				got := 0
				var refs []actor.Ref[say]
				for i := range 20 {
					ref, _ := claim(p, fmt.Sprint(i), func(*actor.Tasklet, say) error { got++; return nil })
					if i%2 == 0 {
						require.NoError(p.tb, ref.Send(t, say{}))
					}
					refs = append(refs, ref)
				}
				t.Sleep(15 * time.Second)
				require.Equal(p.tb, outboxes{20, 0, 10, 10}, p.outboxes())
				open := actor.NewRef[int]()
				if lost { // messages from b wait here, so the link does not end at once
					slow := actor.Receiver(t, func(t *actor.Tasklet, m say) error { return open.Join(t) })
					_, err := cluster.Claim(t, p.a, "slow", slow)
					require.NoError(p.tb, err)
					p.do(func(t *actor.Tasklet) {
						there, err := cluster.WaitFor[say](t, p.b, "slow")
						require.NoError(p.tb, err)
						for range 1100 {
							require.NoError(p.tb, there.Send(t, say{}))
						}
					})
					t.Sleep(time.Second)
					p.crash()
				}
				for _, ref := range refs {
					require.NoError(p.tb, ref.Send(t, say{}))
				}
				if !lost {
					require.NoError(p.tb, p.a.Leave(t))
					require.Equal(p.tb, 30, got)
					return
				}
				t.Sleep(time.Minute)
				for _, ref := range refs {
					require.True(p.tb, ref.IsDead())
				}
				require.Equal(p.tb, 10, got)
				require.Equal(p.tb, 20, letters)
				actor.StartTasklet(t, actor.ReceiverBody(open, func(*actor.Tasklet, int) error { return nil })).Kill()
			}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
				c.OnEvent = func(e actor.EventRecord) {
					if e.Kind == event.DeadLetter {
						letters += e.Count
					}
				}
			}))
		})
	}
}

// When nobody has a ref any more, the outbox is forgotten and the other side is told. The same ref
// can come again.
func TestOutboxOfADroppedRef(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		got := 0
		_, there := claim(p, "x", func(t *actor.Tasklet, m say) error { got = 10*got + m.N; return nil })
		find := func() actor.Ref[say] {
			ref, err := cluster.Find[say](t, p.a, "x")
			require.NoError(p.tb, err)
			return ref
		}
		require.NoError(p.tb, find().Send(t, say{N: 1}))
		t.Sleep(15 * time.Second)
		require.Equal(p.tb, outboxes{1, 0, 1, 1}, p.outboxes())
		cluster.Drop(find())
		t.Sleep(time.Second)
		require.Equal(p.tb, outboxes{}, p.outboxes())
		require.NoError(p.tb, find().Send(t, say{N: 2}))
		t.Sleep(time.Second)
		require.Equal(p.tb, outboxes{1, 1, 1, 1}, p.outboxes())
		require.Equal(p.tb, 12, got)
		there.Kill()
	})
}

// In a running program the collector finds the refs that nobody has.
func TestOutboxesAreCollected(t *testing.T) {
	const refs = 2000
	require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		net := clustertest.New(t0, clustertest.Faults{})
		a, err := cluster.Join(t0, t0, cluster.Config{Name: "a", Connect: net})
		require.NoError(t, err)
		b, err := cluster.Join(t0, t0, cluster.Config{Name: "b", Connect: net})
		require.NoError(t, err)
		known := actor.Receiver(t0, func(*actor.Tasklet, say) error { return nil })
		var kept []actor.Ref[say]
		came := 0
		mouth := actor.Receiver(t0, func(t *actor.Tasklet, m say) error {
			if came++; came <= 3 {
				kept = append(kept, m.To)
			}
			if came%2 == 0 {
				return m.To.Send(t, say{})
			}
			return nil
		})
		_, err = cluster.Claim(t0, a, "mouth", mouth)
		require.NoError(t, err)
		ref, err := cluster.WaitFor[say](t0, b, "mouth")
		require.NoError(t, err)
		for range refs {
			to := actor.Receiver(t0, func(*actor.Tasklet, say) error { return nil })
			require.NoError(t, ref.Send(t0, say{To: to}))
		}
		require.NoError(t, ref.Send(t0, say{To: known}))
		for came <= refs {
			t0.Sleep(time.Millisecond)
		}
		limit := time.Now().Add(time.Minute)
		for {
			n, _, _, _ := a.Outboxes()
			if n == len(kept) {
				break
			}
			require.True(t, time.Now().Before(limit), "%d refs are left", n)
			a.Drowse()
			runtime.GC()
			t0.Sleep(time.Millisecond)
		}
		for _, ref := range kept {
			require.NoError(t, ref.Send(t0, say{}))
		}

		// A goroutine that waits for the end of a ref that was never used keeps it.
		_, err = cluster.Claim(t0, b, "known", known)
		require.NoError(t, err)
		last, err := cluster.WaitFor[say](t0, a, "known")
		require.NoError(t, err)
		joined := make(chan error, 1)
		go func() { joined <- last.Join(context.Background()) }()
		for last.Tasklet() == nil {
			t0.Sleep(time.Millisecond)
		}
		known.Kill()
		err, _ = actor.Await(t0, func(context.Context) (error, error) { return <-joined, nil })
		require.ErrorIs(t, err, actor.ErrKilled)
		return nil
	}))
}
