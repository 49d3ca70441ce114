package supervisor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Ref.Join of what is supervised returns, and who watches is told, when no restart is to come,
// whoever has ended: the child, or a supervisor above it.
func TestWaitForWhatIsSupervised(t *testing.T) {
	handle := func(ref actor.Ref[int]) actor.Body {
		return actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
			switch n {
			case 1:
				return actor.ErrStop
			case 2:
				return actor.ErrShutdown
			case 3:
				return errCrash
			}
			return nil
		})
	}
	type stage struct {
		t        *actor.Tasklet
		ref, two actor.Ref[int]
		s        *supervisor.Supervisor
	}
	plain := func(r supervisor.Restart) func(*stage) supervisor.Spec {
		return func(g *stage) supervisor.Spec {
			return supervisor.Spec{Intensity: 3, Children: []supervisor.Child{{ID: "c", Restart: r, Body: handle(g.ref)}}}
		}
	}
	// nested has the ref's child, with a significant one beside it, below a supervisor of its own.
	nested := func(r supervisor.Restart) func(*stage) supervisor.Spec {
		return func(g *stage) supervisor.Spec {
			inner := supervisor.Body(supervisor.Spec{AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
				{ID: "c", Body: handle(g.ref)},
				{ID: "significant", Restart: supervisor.Transient, Significant: true, Body: handle(g.two)}}})
			return supervisor.Spec{Intensity: 3, Children: []supervisor.Child{{ID: "inner", Restart: r, Body: inner}}}
		}
	}
	for name, c := range map[string]struct {
		spec func(*stage) supervisor.Spec
		do   func(*stage)
		want error
	}{
		"closed, transient":     {plain(supervisor.Transient), func(g *stage) { g.ref.Close() }, nil},
		"closed, temporary":     {plain(supervisor.Temporary), func(g *stage) { g.ref.Close() }, nil},
		"ErrStop, transient":    {plain(supervisor.Transient), func(g *stage) { _ = g.ref.Send(g.t, 1) }, nil},
		"shutdown, transient":   {plain(supervisor.Transient), func(g *stage) { _ = g.ref.Send(g.t, 2) }, nil},
		"crashed and closed":    {plain(supervisor.Transient), func(g *stage) { _ = g.ref.Send(g.t, 3); g.ref.Close() }, nil},
		"failed, temporary":     {plain(supervisor.Temporary), func(g *stage) { _ = g.ref.Send(g.t, 3) }, errCrash},
		"given up":              {plain(supervisor.Permanent), func(g *stage) { sendAll(g.t, g.ref, 3, 3, 3, 3) }, errCrash},
		"supervisor killed":     {plain(supervisor.Permanent), func(g *stage) { g.s.Tasklet().Kill() }, actor.ErrKilled},
		"deleted":               {plain(supervisor.Permanent), func(g *stage) { _ = g.s.StopChild(g.t, "c"); _ = g.s.DeleteChild(g.t, "c") }, actor.ErrKilled},
		"stopped, ended again":  {plain(supervisor.Transient), func(g *stage) { _ = g.s.StopChild(g.t, "c"); _, _ = g.s.RestartChild(g.t, "c"); g.ref.Close() }, nil},
		"nested, auto-shutdown": {nested(supervisor.Transient), func(g *stage) { g.two.Close() }, actor.ErrKilled},
		"nested, temporary":     {nested(supervisor.Temporary), func(g *stage) { g.two.Close() }, actor.ErrKilled},
		"nested, deleted": {nested(supervisor.Permanent), func(g *stage) {
			_ = g.s.StopChild(g.t, "inner")
			_ = g.s.DeleteChild(g.t, "inner")
		}, actor.ErrKilled},
		"nested, above killed": {nested(supervisor.Permanent), func(g *stage) { g.s.Tasklet().Kill() }, actor.ErrKilled},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " late=", late), func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) {
					g := &stage{t: t0, ref: actor.NewRef[int](), two: actor.NewRef[int]()}
					joined, notices := errors.New("not yet"), 0
					box := actor.Receiver(t0, func(*actor.Tasklet, actor.Exit) error { notices++; return nil })
					wait := func() {
						actor.Go(t0, func(t *actor.Tasklet) error { joined = g.ref.Join(t); return nil })
						actor.Watch(t0, g.ref, box, func(e actor.Exit) actor.Exit { return e })
						t0.Yield()
					}
					g.s = start(t0, c.spec(g))
					if !late {
						wait()
						require.NoError(t, g.ref.Send(t0, 0))
						t0.Sleep(time.Second)
						require.Zero(t, notices)
					}
					c.do(g)
					t0.Sleep(time.Second)
					if late {
						wait()
						t0.Sleep(time.Second)
					}
					if c.want == nil {
						require.NoError(t, joined)
					} else {
						require.ErrorIs(t, joined, c.want)
					}
					require.Equal(t, 1, notices)
				})
			})
		}
	}
}

func sendAll(t *actor.Tasklet, ref actor.Ref[int], ns ...int) {
	for _, n := range ns {
		_ = ref.Send(t, n)
	}
}

// Each watch of a ref has one notice, of its last end, over crashes, kills, stops and restarts at
// any moment, and whenever it began; one that was taken back in time has none.
func TestExploreWatchOfRef(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 60
	}
	actortest.Explore(t, n, func(t0 *actor.Tasklet) {
		tb, draw := actortest.TB(t0), t0.System().Rand()
		ref := actor.NewRef[int]()
		s, err := supervisor.Start(t0, supervisor.Spec{Intensity: 1000, Backoff: supervisor.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond},
			Children: []supervisor.Child{{ID: "c", Body: actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
				if n == 1 {
					return errCrash
				}
				return nil
			})}}})
		require.NoError(tb, err)
		notices, want := map[int]int{}, map[int]int{}
		box := actor.Receiver(t0, func(_ *actor.Tasklet, i int) error { notices[i]++; return nil }, actor.Overflow(mailbox.Unbounded))
		watch := func(t *actor.Tasklet, i int) func() bool {
			want[i] = 1
			return actor.Watch(t, ref, box, func(e actor.Exit) int {
				require.True(tb, ref.IsDead(), "a notice before the end: %v", e)
				return i
			})
		}
		for i := range 20 {
			switch draw.IntN(6) {
			case 0, 1:
				watch(t0, i)
			case 2:
				cancel := watch(t0, i)
				if draw.IntN(2) == 0 {
					t0.Sleep(time.Duration(draw.IntN(3)) * time.Millisecond)
				}
				require.True(tb, cancel())
				want[i] = 0
			case 3:
				_ = ref.TrySend(t0, 1)
			case 4:
				ref.Kill()
			case 5:
				_ = s.StopChild(t0, "c")
				if _, err := s.RestartChild(t0, "c"); err != nil {
					require.ErrorIs(tb, err, supervisor.ErrRunning)
				}
			}
			t0.Sleep(time.Duration(draw.IntN(3)) * time.Millisecond)
		}
		joined := actor.Go(t0, func(t *actor.Tasklet) error { _ = ref.Join(t); return nil })
		watch(t0, 20)
		if draw.IntN(2) == 0 {
			ref.Kill()
		}
		s.Tasklet().Kill()
		watch(t0, 21)
		_ = s.Tasklet().Join(t0)
		watch(t0, 22)
		require.NoError(tb, joined.Join(t0))
		t0.Sleep(time.Second)
		for i, n := range want {
			require.Equal(tb, n, notices[i], "watch %d", i)
		}
	}, actortest.Allow(event.DeadLetter)) // what is queued for a child that is stopped
}

// What a supervisor sends to itself, and what was asked of it, is no dead letter when it ends; who
// asked is told.
func TestSupervisorHasNoDeadLetters(t *testing.T) {
	actortest.Explore(t, 50, func(t0 *actor.Tasklet) {
		tb := actortest.TB(t0)
		s, err := supervisor.Start(t0, supervisor.Spec{Intensity: 9, LogEvery: time.Second, Backoff: supervisor.Backoff{Min: time.Second}, Children: []supervisor.Child{
			{ID: "a", Body: actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return errCrash })},
			{ID: "b", Body: actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(2 * time.Second); return errCrash })},
		}})
		require.NoError(tb, err)
		var asked []*actor.Tasklet
		for range 5 {
			asked = append(asked, actor.Later(t0, 2*time.Second, func(t *actor.Tasklet) error {
				_, err := s.Count(t)
				if err == nil {
					_, err = s.Children(t)
				}
				return err
			}))
		}
		t0.Sleep(2 * time.Second)
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t0)
		for _, k := range asked {
			if err := k.Join(t0); err != nil {
				var j *actor.JoinError
				require.True(tb, errors.Is(err, mailbox.ErrClosed) || errors.As(err, &j), "%v", err)
			}
		}
	})
}
