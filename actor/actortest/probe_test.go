package actortest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
)

// A probe keeps what comes, and gives it once, in order.
func TestProbe(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		p := actortest.NewProbe[int](t)
		require.Equal(tb, "/test/probe", p.Ref().String())
		start := t.System().Now()
		for n := range 3 {
			actor.SendAfter(t, time.Duration(n)*time.Second, p.Ref(), n)
		}
		p.Expect(0)
		p.Expect(1)
		require.Equal(tb, 2, p.ExpectMatch(func(n int) bool { return n > 0 }))
		require.Equal(tb, 2*time.Second, t.System().Now().Sub(start))
		require.Equal(tb, []int{0, 1, 2}, p.Got())
		p.ExpectNone(time.Hour)
		p.ExpectNone(0)
		require.Equal(tb, time.Hour+2*time.Second, t.System().Now().Sub(start))
		p.Within = 2 * time.Hour
		actor.SendAfter(t, 100*time.Minute, p.Ref(), 3)
		p.Expect(3)
	})
}

// ExpectExit gives the end of a tasklet, before or after it has come.
func TestProbeExpectExit(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		p := actortest.NewProbe[string](t, actor.Name("p"))
		ends := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Second); return errTest }, actor.Name("ends"))
		x := p.ExpectExit(ends, reason.Error)
		require.Equal(tb, actor.Exit{Tasklet: ends, Path: "/test/ends", Kind: reason.Error, Err: errTest}, x)
		require.Equal(tb, x, p.ExpectExit(ends, reason.Error))
		sleeps := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		sleeps.Kill()
		p.ExpectExit(sleeps, reason.Killed)
		p.ExpectExit(actor.Go(t, func(t *actor.Tasklet) error { return nil }), reason.Normal)
	})
}

// What was expected, what came, what had come before, and the last events.
func TestProbeFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     func(t *actor.Tasklet, p *actortest.Probe[string])
		wants []string
	}{
		{"other", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			_, _ = p.Ref().Send(t, "a"), p.Ref().Send(t, "b")
			p.Expect("a")
			p.Expect("c")
		}, []string{"/test/probe at 0s\n    expected  string \"c\"\n    got       string \"b\"\n    in all    2 messages, at last string \"a\", string \"b\"\n" +
			"the last 2 events:\n    0s system_start /test\n    0s spawn /test/probe"}},
		{"nothing", func(t *actor.Tasklet, p *actortest.Probe[string]) { p.Expect("a") },
			[]string{"at 1m0s\n    expected  string \"a\"\n    got       nothing within 1m0s\nthe last"}},
		{"no match", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			_ = p.Ref().Send(t, "a")
			p.ExpectMatch(func(s string) bool { return s == "b" })
		}, []string{"expected  a message that matches\n    got       string \"a\""}},
		{"nothing to match", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			p.Within = time.Second
			p.ExpectMatch(func(s string) bool { return true })
		}, []string{"expected  a message that matches\n    got       nothing within 1s"}},
		{"something", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			actor.SendAfter(t, time.Second, p.Ref(), "a")
			p.ExpectNone(time.Second)
		}, []string{"expected  no message for 1s\n    got       string \"a\""}},
		{"no end", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			k := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("k"))
			p.ExpectExit(k, reason.Normal)
		}, []string{"expected  the end of /test/k: normal\n    got       after 1m0s it is parked in sleep (timeout)"}},
		{"another end", func(t *actor.Tasklet, p *actortest.Probe[string]) {
			k := actor.Go(t, func(t *actor.Tasklet) error { return errors.New("x") }, actor.Name("k"))
			p.ExpectExit(k, reason.Normal)
		}, []string{"expected  the end of /test/k: normal\n    got       error: x", "0s exit /test/k error error=x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := fails(t, func(t *actor.Tasklet) {
				c.f(t, actortest.NewProbe[string](t))
				actortest.TB(t).Log("not reached")
			})
			for _, want := range c.wants {
				require.Contains(t, text, want)
			}
			require.NotContains(t, text, "not reached")
			require.NotRegexp(t, "(?s)the last .*the last ", text, "the events are shown once")
		})
	}
}

// Messages are shown so that they can be told apart.
func TestProbeShows(t *testing.T) {
	type point struct{ X, Y int }
	text := fails(t, func(t *actor.Tasklet) {
		p := actortest.NewProbe[any](t)
		_ = p.Ref().Send(t, point{1, 2})
		p.Expect(time.Second)
	})
	require.Contains(t, text, "expected  time.Duration \"1s\"\n    got       actortest_test.point {X:1 Y:2}")
}

// What comes in the very moment in which the wait ends has come.
func TestProbeInTheLastMoment(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := actortest.NewProbe[string](t)
		p.Within = time.Hour
		actor.Later(t, time.Hour, func(t *actor.Tasklet) error { return p.Ref().Send(t, "late") })
		p.Expect("late")
		p.ExpectExit(actor.Later(t, time.Hour, func(t *actor.Tasklet) error { t.Yield(); return nil }), reason.Normal)
	})
}
