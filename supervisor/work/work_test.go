package work_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
	"github.com/gotasklet/tasklet/supervisor/work"
)

var errBad = errors.New("bad message")

// Four workers handle messages at the same time, in the order of the sends.
func TestQueue(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var took []int
		q, err := work.Start(t, work.Spec[int]{Name: "q", Workers: 4, Handle: func(t *actor.Tasklet, m int) error {
			took = append(took, m)
			t.Sleep(time.Second)
			return nil
		}})
		require.NoError(tb, err)
		begin := t.System().Now()
		for i := range 12 {
			require.NoError(tb, q.Send(t, i))
		}
		require.Equal(tb, 12, q.Len())
		require.NoError(tb, q.Drain(t))
		require.Equal(tb, 3*time.Second, t.System().Now().Sub(begin))
		require.Equal(tb, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, took)
		require.Equal(tb, work.Stats{Accepted: 12, Handled: 12}, q.Stats())
		require.Equal(tb, mailbox.ErrClosed, q.Send(t, 1))
		require.Equal(tb, mailbox.ErrClosed, q.TrySend(t, 1))
	})
}

// A message that fails is tried again after its pauses, and then set aside, while the only worker
// handles others.
func TestRetryAndSetAside(t *testing.T) {
	for name, fail := range map[string]func(t *actor.Tasklet) error{
		"error": func(*actor.Tasklet) error { return errBad },
		"panic": func(*actor.Tasklet) error { panic(errBad) },
		"kill":  func(t *actor.Tasklet) error { t.Kill(); t.Yield(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				dead := actortest.NewProbe[work.Dead[int]](t)
				inits := 0
				var at []time.Duration
				begin := t.System().Now()
				q, err := work.Start(t, work.Spec[int]{
					Name: "q",
					Init: func(*actor.Tasklet) (actor.Handler[int], error) {
						inits++
						return func(t *actor.Tasklet, m int) error {
							if m == 13 {
								at = append(at, t.System().Now().Sub(begin))
								return fail(t)
							}
							return nil
						}, nil
					},
					Retry: flow.Retry{Attempts: 4, Min: time.Second},
					Dead:  dead.Ref(),
				})
				require.NoError(tb, err)
				require.NoError(tb, q.Send(t, 13))
				for range 100 {
					require.NoError(tb, q.Send(t, 1))
				}
				t.Sleep(100 * time.Millisecond)
				require.Equal(tb, work.Stats{Queued: 1, Retrying: 1, Accepted: 101, Handled: 100, Retries: 1, Restarts: q.Stats().Restarts}, q.Stats())
				d := dead.ExpectMatch(func(work.Dead[int]) bool { return true })
				require.Equal(tb, []int{13}, d.Messages)
				require.Equal(tb, 4, d.Tries)
				require.Equal(tb, "/test/q/worker-1", d.Worker)
				want := map[string]error{"error": errBad, "panic": errBad, "kill": actor.ErrKilled}[name]
				require.ErrorIs(tb, d.Err, want)
				require.Equal(tb, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}, at)
				t.Sleep(time.Second)
				wantInits := 5
				if name == "error" {
					wantInits = 1
				}
				require.Equal(tb, wantInits, inits)
				require.Equal(tb, work.Stats{Accepted: 101, Handled: 100, Retries: 3, SetAside: 1, Restarts: wantInits - 1}, q.Stats())
			}, actortest.Allow(event.Exit, "/test/q/worker-1"), actortest.Limit(time.Hour))
		})
	}
}

// Senders wait in order while the queue is full, also over a restart of the whole queue, and each
// message of a send that returned nil is handled.
func TestSendersWait(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var took []int
		q := work.New(work.Spec[int]{Name: "q", Cap: 2, Handle: func(t *actor.Tasklet, m int) error {
			t.Sleep(time.Second)
			took = append(took, m)
			return nil
		}})
		_, err := supervisor.Start(t, supervisor.Spec{Name: "s", Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
		require.NoError(tb, err)
		for i := range 10 {
			actor.Go(t, func(t *actor.Tasklet) error {
				t.Sleep(time.Duration(i) * time.Millisecond)
				return q.Send(t, i)
			})
		}
		t.Sleep(100 * time.Millisecond)
		require.Equal(tb, work.Stats{Queued: 2, InHand: 1, Waiting: 7, Accepted: 3}, q.Stats())
		require.Equal(tb, mailbox.ErrFull, q.TrySend(t, 1))
		ctx, cancel := actor.WithTimeout(t, 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(tb, q.Send(ctx, 99), actor.ErrTimeout)
		require.Equal(tb, 7, q.Stats().Waiting)
		require.Equal(tb, "queued 2/2, 1 in hand, 7 waiting", tree.Snapshot(q.Tasklet())[0].Supervision.Note)
		q.Tasklet().Kill() // the message in hand is tried again
		t.Sleep(time.Minute)
		require.Equal(tb, []int{1, 0, 2, 3, 4, 5, 6, 7, 8, 9}, took)
	}, actortest.Limit(time.Hour))
}

// The policies.
func TestPolicies(t *testing.T) {
	for policy, c := range map[mailbox.Policy]struct {
		err  error
		left []int
	}{
		mailbox.Fail:       {mailbox.ErrFull, []int{0, 1, 2}},
		mailbox.DropNewest: {nil, []int{0, 1, 2}},
		mailbox.DropOldest: {nil, []int{0, 2, 3}},
	} {
		t.Run(policy.String(), func(t *testing.T) {
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				var took []int
				q, err := work.Start(t, work.Spec[int]{Name: "q", Cap: 2, Policy: policy, Handle: func(t *actor.Tasklet, m int) error {
					t.Sleep(time.Second)
					took = append(took, m)
					return nil
				}})
				require.NoError(tb, err)
				require.NoError(tb, q.Send(t, 0))
				t.Yield()
				require.NoError(tb, q.Send(t, 1))
				require.NoError(tb, q.Send(t, 2))
				require.Equal(tb, c.err, q.Send(t, 3))
				require.NoError(tb, q.Drain(t))
				require.Equal(tb, c.left, took)
				if c.err == nil {
					require.Equal(tb, work.Stats{Accepted: 3, Handled: 3, Dropped: 1}, q.Stats())
				}
			}, actortest.Allow(event.DeadLetter, "/test/q"))
		})
	}
}

// A Dead that is full does not stop anything: the queue asks again, and then reports the loss. A
// Dead that panics costs its worker, and one that is closed or missing loses the message at once.
func TestDeadThatTakesNothing(t *testing.T) {
	full := actor.NewRef[work.Dead[int]](actor.MailboxLen(1))
	closed := actor.NewRef[work.Dead[int]]()
	closed.Close()
	for name, c := range map[string]struct {
		dead  actor.Sender[work.Dead[int]]
		after time.Duration
	}{
		"none": {nil, 0}, "full": {full, 2 * time.Second}, "closed": {closed, 0},
		"panics": {actor.Adapt(full, func(work.Dead[int]) work.Dead[int] { panic("no") }), 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			lost := 0
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				if name == "full" {
					require.NoError(tb, full.Send(t, work.Dead[int]{}))
				}
				q, err := work.Start(t, work.Spec[int]{
					Name: "q", Handle: func(t *actor.Tasklet, m int) error { return errBad },
					Retry: flow.Retry{Attempts: 3, Min: time.Second, Factor: 1}, Dead: c.dead,
				})
				require.NoError(tb, err)
				begin := t.System().Now()
				for i := range 5 {
					require.NoError(tb, q.Send(t, i))
				}
				require.NoError(tb, q.Drain(t))
				require.Equal(tb, 2*time.Second+c.after, t.System().Now().Sub(begin))
				s := q.Stats()
				require.Equal(tb, work.Stats{Accepted: 5, Retries: 10, Lost: 5, Restarts: s.Restarts}, s)
				t.Sleep(time.Second)
				require.Equal(tb, 5, lost)
			}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit, "/test/q/worker-1"), onEvent(func(e actor.EventRecord) {
				if e.Kind == event.DeadLetter && e.Path == "/test/q" {
					lost += e.Count
				}
			}))
		})
	}
}

func onEvent(f func(actor.EventRecord)) actortest.Option {
	return actortest.Configure(func(c *actor.Config) { c.OnEvent = f })
}

// A worker whose init keeps failing ends the queue, and the supervisor above decides. Its messages
// stay until the ref has ended permanently, and are then reported.
func TestInitThatFails(t *testing.T) {
	left := 0
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		broken := false
		inits := 0
		q := work.New(work.Spec[int]{
			Workers: 2,
			Init: func(*actor.Tasklet) (actor.Handler[int], error) {
				if inits++; broken {
					return nil, errBad
				}
				return func(t *actor.Tasklet, m int) error { panic("crash") }, nil
			},
			Retry:   flow.Retry{Attempts: 10},
			Restart: flow.Retry{Attempts: 3, Min: time.Minute},
		})
		s, err := supervisor.Start(t, supervisor.Spec{Name: "s", Intensity: 1, Period: time.Hour, Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
		require.NoError(tb, err)
		broken = true
		for i := range 5 {
			require.NoError(tb, q.Send(t, i))
		}
		err = s.Tasklet().Join(t)
		require.ErrorIs(tb, err, supervisor.ErrIntensity)
		require.Equal(tb, mailbox.ErrClosed, q.Send(t, 1))
		require.Equal(tb, 5, left)
		require.EqualValues(tb, 5, q.Stats().Lost)

		_, err = work.Start(t, work.Spec[int]{Init: func(*actor.Tasklet) (actor.Handler[int], error) { return nil, errBad }})
		require.ErrorIs(tb, err, errBad)
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit), actortest.Limit(24*time.Hour), onEvent(func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			left += e.Count
		}
	}))
}

// A batch is tried again as a batch. With Split its messages are tried alone then.
func TestBatch(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprint("split ", split), func(t *testing.T) {
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				dead := actortest.NewProbe[work.Dead[int]](t)
				var took [][]int
				q, err := work.Start(t, work.Spec[int]{
					Name: "q", Workers: 3, Retry: flow.Retry{Attempts: 2}, Dead: dead.Ref(),
					Batch: &work.Batch[int]{Max: 4, Wait: time.Second, Split: split, Handle: func(t *actor.Tasklet, ms []int) error {
						took = append(took, slices.Clone(ms))
						bad := slices.Contains(ms, 2)
						clear(ms) // which the queue does not see
						if bad {
							return errBad
						}
						return nil
					}},
				})
				require.NoError(tb, err)
				begin := t.System().Now()
				for i := range 7 {
					require.NoError(tb, q.Send(t, i))
				}
				t.Yield()
				t.Yield()
				require.Equal(tb, [][]int{{0, 1, 2, 3}}, took)
				t.Sleep(500 * time.Millisecond)
				require.Equal(tb, [][]int{{0, 1, 2, 3}, {0, 1, 2, 3}}, took[:2])
				if !split {
					require.Equal(tb, work.Dead[int]{Messages: []int{0, 1, 2, 3}, Tries: 2, Err: errBad, Worker: "/test/q/worker-1"}, withWorker(dead.Got()[0]))
					t.Sleep(600 * time.Millisecond)
					require.Equal(tb, [][]int{{4, 5, 6}}, took[2:], "not full, after Wait")
					require.NoError(tb, q.Drain(t))
					return
				}
				require.Equal(tb, [][]int{{0}, {1}, {2}, {3}, {2}}, took[2:7])
				require.Equal(tb, work.Dead[int]{Messages: []int{2}, Tries: 4, Err: errBad, Worker: "/test/q/worker-1"}, withWorker(dead.Got()[0]))
				require.NoError(tb, q.Drain(t)) // does not wait for a full batch
				require.Less(tb, t.System().Now().Sub(begin), time.Second)
				require.Equal(tb, []int{4, 5, 6}, took[len(took)-1])
				require.Equal(tb, work.Stats{Accepted: 7, Handled: 6, Retries: 3, SetAside: 1}, q.Stats())
			})
		})
	}
}

func withWorker(d work.Dead[int]) work.Dead[int] { d.Worker = "/test/q/worker-1"; return d }

// A worker may send to its own queue, but does not wait for itself.
func TestWorkerSendsToItsQueue(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var q *work.Queue[int]
		var errs []error
		q, err := work.Start(t, work.Spec[int]{Cap: 2, Handle: func(t *actor.Tasklet, m int) error {
			if m > 0 {
				for range 3 {
					errs = append(errs, q.Send(t, 0))
				}
			}
			return nil
		}})
		require.NoError(tb, err)
		require.NoError(tb, q.Send(t, 1))
		require.NoError(tb, q.Drain(t))
		require.Equal(tb, []error{nil, nil, mailbox.ErrFull}, errs[:3])
	})
}

// fate is what a test knows of a message.
type fate struct {
	sent            bool // Send has returned nil
	tries           int
	handled, buried int
}

// Whatever crashes, is killed or drained in whatever order, each message that a send has accepted
// is handled, set aside after all its tries, or counted by an event.
func TestExploreAccounts(t *testing.T) {
	faults := actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox, actortest.LateTimer)
	for _, batch := range []int{0, 3} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			var lost int
			var started bool
			actortest.Explore(t, runs(300), func(t *actor.Tasklet) {
				lost, started = 0, false
				accounts(t, batch, &lost, &started)
			}, faults, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit), actortest.Allow(event.Failure), actortest.Limit(100*time.Hour),
				actortest.Victims(func(t *actor.Tasklet) bool {
					return started && t.Name() != "test" && t.Name() != "bin" && t.Name() != "s"
				}),
				onEvent(func(e actor.EventRecord) {
					if e.Kind == event.DeadLetter && e.Message.Kind().String() == "int" {
						lost += e.Count
					}
				}))
		})
	}
}

func accounts(t *actor.Tasklet, batch int, lost *int, started *bool) {
	tb := actortest.TB(t)
	rnd := rand.New(rand.NewPCG(t.System().Rand().Uint64(), 1))
	const n = 60
	fates := make([]fate, n)
	bin := actor.Receiver(t, func(t *actor.Tasklet, d work.Dead[int]) error {
		for _, m := range d.Messages {
			fates[m].buried++
			if d.Tries < 3 || d.Tries > 6 {
				tb.Errorf("message %d set aside after %d tries", m, d.Tries)
			}
		}
		return nil
	}, actor.Name("bin"))
	handle := func(t *actor.Tasklet, m int) error {
		f := &fates[m]
		f.tries++
		t.Sleep(time.Duration(m%7) * time.Millisecond)
		switch m % 10 {
		case 3:
			return errBad
		case 4:
			panic("poison")
		case 5:
			t.Kill()
			t.Yield()
		case 6:
			if f.tries < 2 {
				return errBad
			}
		case 8:
			f.handled++
			return actor.ErrStop
		}
		f.handled++
		return nil
	}
	spec := work.Spec[int]{
		Workers: 3, Cap: 5, Handle: handle, Retry: flow.Retry{Attempts: 3, Min: 10 * time.Millisecond, Jitter: 0.5}, Dead: bin,
		Restart: flow.Retry{Attempts: 50},
	}
	if batch > 0 {
		spec.Handle = nil
		spec.Batch = &work.Batch[int]{Max: batch, Wait: 5 * time.Millisecond, Split: true, Handle: func(t *actor.Tasklet, ms []int) (err error) {
			for _, m := range ms {
				if e := handle(t, m); e != nil && e != actor.ErrStop {
					err = e
				}
			}
			return err
		}}
	}
	q := work.New(spec)
	s, err := supervisor.Start(t, supervisor.Spec{Name: "s", Intensity: 100, Period: time.Hour, Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
	require.NoError(tb, err)
	*started = true
	var senders []*actor.Tasklet
	for i := range 6 {
		senders = append(senders, actor.Go(t, func(t *actor.Tasklet) error {
			for m := i * n / 6; m < (i+1)*n/6; m++ {
				if q.Send(t, m) == nil {
					fates[m].sent = true
				}
				t.Sleep(time.Duration(m%3) * time.Millisecond)
			}
			return nil
		}))
	}
	full := 5 + 3*max(batch, 1)
	for range 50 {
		t.Sleep(time.Millisecond)
		st := q.Stats()
		if st.Queued+st.InHand > full {
			tb.Errorf("%d messages in a queue that may have %d", st.Queued+st.InHand, full)
		}
		if sum := uint64(st.Queued+st.InHand) + st.Handled + st.SetAside + st.Lost; sum != st.Accepted {
			tb.Errorf("%d of %d messages are accounted for: %+v", sum, st.Accepted, st)
		}
	}
	if rnd.IntN(2) == 0 {
		_, _ = actor.JoinEach(t, senders...)
		actortest.Calm(t)
		require.NoError(tb, s.Drain(t))
	} else {
		t.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t)
		_, _ = actor.JoinEach(t, senders...)
	}
	bin.Close()
	_ = bin.Join(t)
	st := q.Stats()
	missing := 0
	for m, f := range fates {
		if f.sent && f.handled+f.buried == 0 {
			missing++
		}
		if f.buried > 1 {
			tb.Errorf("message %d was set aside %d times", m, f.buried)
		}
	}
	if st.Queued+st.InHand != 0 || st.Accepted != st.Handled+st.SetAside+st.Lost {
		tb.Errorf("not accounted for: %+v", st)
	}
	if missing > int(st.Lost) || *lost != int(st.Lost) {
		tb.Errorf("%d messages are missing, %d were reported as lost, %+v", missing, *lost, st)
	}
}

type requestKey struct{}

// job carries the number of its request.
type job int

func (j job) Carry(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, int(j))
}

// Hooks and carriers apply to the messages of a queue, and not to what wakes its workers.
func TestHooksAndCarriers(t *testing.T) {
	for name, spec := range map[string]work.Spec[job]{
		"one": {Handle: func(t *actor.Tasklet, j job) error {
			fmt.Fprint(noted, "handler ", t.Context().Value(requestKey{}), ";")
			return nil
		}},
		"batch": {Batch: &work.Batch[job]{Max: 2, Handle: func(t *actor.Tasklet, js []job) error {
			fmt.Fprint(noted, "handler ", js, t.Context() == t, ";")
			return nil
		}}},
	} {
		for _, hooked := range []bool{false, true} {
			noted = new(strings.Builder)
			cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
			if hooked {
				cfg.Around = func(ctx context.Context, m any, next func(context.Context) error) error {
					fmt.Fprint(noted, "hook ", m, " ", ctx.Value(requestKey{}), ";")
					return next(ctx)
				}
			}
			require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
				q, err := work.Start(t, spec)
				if err != nil {
					return err
				}
				_, _ = q.Send(t, 1), q.Send(t, 2)
				return q.Drain(t)
			}))
			want := map[string]string{
				"one":   "handler 1;handler 2;",
				"batch": "handler [1 2] true;",
			}[name]
			if hooked {
				want = map[string]string{
					"one":   "hook 1 1;handler 1;hook 2 2;handler 2;",
					"batch": "hook [1 2] <nil>;handler [1 2] true;",
				}[name]
			}
			require.Equal(t, want, noted.String(), name)
		}
	}
}

// noted has what the handlers and hooks of TestHooksAndCarriers have seen.
var noted *strings.Builder

// runs returns n, or a fifth of it if tests are to be short: those under the race detector, on
// other numbers of processors, and with checks after each step.
func runs(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
