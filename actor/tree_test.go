package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

func forever(t *actor.Tasklet) error { t.Sleep(1000 * time.Hour); return nil }

// plant starts a tree: each word is a name, and what follows in brackets is below.
func plant(p actor.Spawner, text string) {
	for text != "" {
		name, rest, below := text, "", ""
		if i := strings.IndexAny(text, " ("); i >= 0 {
			name, rest = text[:i], text[i+1:]
			if text[i] == '(' {
				depth, j := 1, 0
				for ; depth > 0; j++ {
					switch rest[j] {
					case '(':
						depth++
					case ')':
						depth--
					}
				}
				below, rest = rest[:j-1], strings.TrimPrefix(rest[j:], " ")
			}
		}
		actor.Go(p, func(t *actor.Tasklet) error { plant(t, below); return forever(t) }, actor.Name(name))
		text = rest
	}
}

// shape is the tree as plant reads it.
func shape(t *actor.Tasklet) string {
	var b strings.Builder
	last := 0
	for x, level := range t.Tree() {
		switch {
		case level > last:
			b.WriteByte('(')
		case level <= last && b.Len() > 0:
			b.WriteString(strings.Repeat(")", last-level) + " ")
		}
		b.WriteString(x.Name())
		last = level
	}
	return b.String() + strings.Repeat(")", last)
}

// Rule 26: Children in order of start, Tree in pre-order with levels.
func TestTree(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		const text = "a(b(c d) e) f g(h(i(j)))"
		plant(t0, text)
		t0.Sleep(1)
		require.Equal(t, "tasklet("+text+")", shape(t0))
		a := t0.Children()[0]
		require.Equal(t, "a(b(c d) e)", shape(a))
		require.Same(t, t0, a.Parent())
		b := a.Children()[0]
		require.Same(t, a, b.Parent())
		require.Equal(t, "/tasklet/a/b", b.String())
		b.Kill()
		require.Error(t, b.Join(t0))
		require.Equal(t, "tasklet(a(e) f g(h(i(j))))", shape(t0))
		require.Equal(t, "/tasklet/a/b", b.Path(), "also when it has finished")
		require.Same(t, a, b.Parent())
		for range t0.Tree() {
			break // which is allowed
		}
		n := 0
		for range t0.Tree() {
			if n++; n == 3 {
				break
			}
		}
		require.Equal(t, 3, n)
		return nil
	})
}

// Rule 26: no lock is held while Tree yields, and a tasklet that stops stays in until it has
// finished.
func TestTreeWhileItChanges(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		plant(t0, "a b c")
		t0.Sleep(1)
		var seen []string
		for x := range t0.Tree() {
			seen = append(seen, x.Name())
			if x.Name() == "a" {
				plant(t0, "late")
				t0.Children()[2].Kill()
				t0.Sleep(1)
			}
		}
		require.Equal(t, []string{"tasklet", "a", "b", "c"}, seen, "over a copy of each family")
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			actor.Go(p, func(t *actor.Tasklet) error {
				t.Defer(func() { t.Sleep(time.Second) })
				return forever(t)
			}, actor.Name("slow"))
			p.Yield()
			return nil
		}, actor.Name("p"))
		t0.Sleep(500 * time.Millisecond)
		require.Equal(t, "p(slow)", shape(p))
		require.Equal(t, "stopping", p.Info().State)
		require.NoError(t, p.Join(t0))
		require.Equal(t, "p", shape(p))
		return nil
	})
}

// Rule 26: from any goroutine. For the race detector.
func TestTreeFromGoroutines(t *testing.T) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})})
	require.NoError(t, err)
	actor.Loop(s, func(t *actor.Tasklet) error {
		k := actor.Go(t, func(t *actor.Tasklet) error { plant(t, "a(b c(d)) e"); t.Yield(); return nil })
		t.Yield()
		_ = k.Join(t)
		return nil
	}, actor.Name("loop"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				for x, level := range s.Root().Tree() {
					require.Equal(t, level+1, strings.Count(x.Path(), "/"))
					_ = x.ID()
					_ = x.HasFinished()
					_ = x.Info()
					if x.Parent() != nil {
						_ = x.Parent().Name()
					}
					_ = len(x.Children())
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(context.Background()))
}

type book struct{}

func (*book) Handle(t *actor.Tasklet, _ int) error { return nil }
func (book) Value(*actor.Tasklet) error            { return nil }

type shelf[T any] []T

func (*shelf[T]) Run(*actor.Tasklet) error { return nil }

func generic[T any](*actor.Tasklet) error { return nil }

func named(*actor.Tasklet) error { return nil }

// Rule 27: names.
func TestNames(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		t.Run("derived from the function, with a number counted by the parent", func(t *testing.T) {
			for i, c := range []struct {
				f    func(*actor.Tasklet) error
				want string
			}{
				{named, "named"},
				{named, "named"},
				{book{}.Value, "book.Value"},
				{func(*actor.Tasklet) error { return nil }, "TestNames.func1.1.1"},
				{generic[map[string]uuid.UUID], "generic"},
				{(&shelf[uuid.UUID]{}).Run, "shelf.Run"},
				{func() func(*actor.Tasklet) error { return func(*actor.Tasklet) error { return nil } }(), ""},
			} {
				k := actor.Go(t0, c.f)
				name, num, ok := strings.Cut(k.Name(), "#")
				require.True(t, ok)
				require.Equal(t, fmt.Sprint(i+1), num)
				if c.want != "" {
					require.Equal(t, c.want, name)
				}
				require.NotContains(t, name, "/")
				require.Equal(t, "/tasklet/"+k.Name(), k.Path())
			}
			r := actor.Receiver(t0, (&book{}).Handle)
			require.Equal(t, "book.Handle#8", r.Tasklet().Name())
			require.Equal(t, r.Tasklet().Name(), r.Name())
			require.Equal(t, r.Tasklet().Path(), r.String())
			for _, k := range []*actor.Tasklet{
				actor.Interval(t0, 1, named), actor.Later(t0, 1, named), actor.Loop(t0, named),
			} {
				require.Contains(t, k.Name(), "named#")
			}
			n := actor.New(t0, func(*actor.Tasklet) (int, error) { return 0, nil })
			require.Contains(t, n.Name(), "TestNames")
		})
		t.Run("each parent counts for itself", func(t *testing.T) {
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				require.Equal(t0ErrorT{}, "named#1", actor.Go(p, named).Name())
				actor.Go(p, named, actor.Name("given"))
				require.Equal(t0ErrorT{}, "named#3", actor.Go(p, named).Name())
				return nil
			})
			require.NoError(t, p.Join(t0))
		})
		t.Run("given ones need not be unique", func(t *testing.T) {
			a, b := actor.Go(t0, forever, actor.Name("same")), actor.Go(t0, forever, actor.Name("same"))
			require.Equal(t, a.Path(), b.Path())
			require.NotEqual(t, a.ID(), b.ID())
		})
		t.Run("the start's option, else the ref's, else the function's", func(t *testing.T) {
			h := func(*actor.Tasklet, int) error { return nil }
			ref := actor.NewRef[int](actor.Name("ref"))
			require.Equal(t, "ref", ref.Name())
			require.Equal(t, "ref", ref.String())
			k := actor.StartTasklet(t0, actor.ReceiverBody(ref, h))
			require.Equal(t, "ref", k.Name())
			require.Equal(t, k.Path(), ref.String())
			other := actor.NewRef[int](actor.Name("ref"))
			k = actor.StartTasklet(t0, actor.ReceiverBody(other, h), actor.Name("start"))
			require.Equal(t, "start", k.Name())
			require.Equal(t, "ref", other.Name(), "a ref keeps its own")
			plain := actor.NewRef[int]()
			require.Empty(t, plain.Name())
			k = actor.StartTasklet(t0, actor.ReceiverBody(plain, h))
			require.Contains(t, k.Name(), "TestNames")
			require.Equal(t, k.Name(), plain.Name())
			r := actor.Receiver(t0, h, actor.Name("receiver"))
			require.Equal(t, "receiver", r.Tasklet().Name())
			require.Equal(t, "receiver", r.Name())
			s := actor.Spawn(t0, func(*actor.Tasklet, *mailbox.Mailbox[int]) error { return nil }, actor.Name("spawned"))
			require.Equal(t, "spawned", s.Tasklet().Name())
			b := actor.BatchReceiver(t0, 1, 0, func(*actor.Tasklet, []int) error { return nil }, actor.Name("batch"))
			require.Equal(t, "batch", b.Tasklet().Name())
		})
		t.Run("a slash or nothing is misuse", func(t *testing.T) {
			require.Contains(t, recovering(func() { actor.Name("a/b") }), "slash")
			require.Contains(t, recovering(func() { actor.Name("") }), "empty")
		})
		return nil
	})
}

// Rule 28: an option that the call can't use panics with its name, and nothing was started.
func TestOptionsThatDoNotFit(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		h := func(*actor.Tasklet, int) error { return nil }
		ref := actor.NewRef[int]()
		for name, c := range map[string]struct {
			f    func()
			want string
		}{
			"Go, MailboxLen":           {func() { actor.Go(t0, named, actor.MailboxLen(1)) }, "MailboxLen"},
			"Go, Overflow":             {func() { actor.Go(t0, named, actor.Overflow(mailbox.Fail)) }, "Overflow"},
			"Go, Immediate":            {func() { actor.Go(t0, named, actor.Immediate()) }, "Immediate"},
			"Receiver, Immediate":      {func() { actor.Receiver(t0, h, actor.Immediate()) }, "Immediate"},
			"Handle, MailboxLen":       {func() { actor.StartTasklet(t0, actor.ReceiverBody(ref, h), actor.MailboxLen(1)) }, "MailboxLen"},
			"NewRef, Daemon":           {func() { actor.NewRef[int](actor.Daemon()) }, "Daemon"},
			"NewRef, Shutdown":         {func() { actor.NewRef[int](actor.Shutdown(1)) }, "Shutdown"},
			"Loop, Immediate":          {func() { actor.Loop(t0, named, actor.Immediate()) }, "Immediate"},
			"Unbounded with a length":  {func() { actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.Unbounded)) }, "MailboxLen"},
			"MailboxLen(0)":            {func() { actor.MailboxLen(0) }, "MailboxLen"},
			"Overflow(9)":              {func() { actor.Overflow(9) }, "Overflow"},
			"OnFailure(9)":             {func() { actor.OnFailure(9) }, "OnFailure"},
			"OnScheduler(-1)":          {func() { actor.OnScheduler(-1) }, "OnScheduler"},
			"OnScheduler(1)":           {func() { actor.Go(t0, named, actor.OnScheduler(1)) }, "OnScheduler"},
			"OnStart(nil)":             {func() { actor.OnStart(nil) }, "OnStart"},
			"IntervalBody(0)":          {func() { actor.IntervalBody(0, named) }, "IntervalBody"},
			"RateBody(0)":              {func() { actor.RateBody(0, func(*actor.Tasklet, time.Time) error { return nil }) }, "RateBody"},
			"BatchReceiverBody(0)":     {func() { actor.BatchReceiverBody(ref, 0, 0, func(*actor.Tasklet, []int) error { return nil }) }, "BatchReceiverBody"},
			"ReceiverBody of zero ref": {func() { actor.ReceiverBody(actor.Ref[int]{}, h) }, "ReceiverBody"},
			"Go(nil)":                  {func() { actor.Go(t0, nil) }, "Go"},
			"Go under nil":             {func() { actor.Go(nil, named) }, "Spawner"},
			"Go under a nil *System":   {func() { actor.Go((*actor.System)(nil), named) }, "nil *System"},
			"StartTasklet(nil)":        {func() { actor.StartTasklet(t0, nil) }, "nil Body"},
			"Send to a zero ref":       {func() { _ = actor.Ref[int]{}.Send(t0, 1) }, "Send"},
			"Receiver, Retry":          {func() { actor.Receiver(t0, h, actor.Retry(1)) }, "Retry"},
			"Resume for a single call": {func() { actor.Go(t0, named, actor.OnFailure(actor.Resume)) }, "OnFailure(Resume)"},
		} {
			v := recovering(c.f)
			require.NotNil(t, v, name)
			require.Contains(t, fmt.Sprint(v), c.want, name)
		}
		require.Empty(t, t0.Children())
		return nil
	})
}

// Rule 27: ids are valid, unique, made without random bits for each, and the seed's if there is
// one.
func TestIDs(t *testing.T) {
	seen := map[uuid.UUID]bool{}
	for range 3 {
		run(t, func(t0 *actor.Tasklet) error {
			for range 1000 {
				id := actor.Go(t0, named).ID()
				require.Equal(t, uuid.Version(8), id.Version())
				require.Equal(t, uuid.RFC4122, id.Variant())
				require.False(t, seen[id])
				seen[id] = true
				parsed, err := uuid.Parse(id.String())
				require.NoError(t, err)
				require.Equal(t, id, parsed)
			}
			require.False(t, seen[t0.ID()])
			return nil
		})
	}
	ids := func(seed uint64) (ids []uuid.UUID) {
		cfg := actor.Config{Seed: seed, Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
		require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			for range 3 {
				ids = append(ids, t0.ID(), actor.Go(t0, named).ID())
			}
			return nil
		}))
		return ids
	}
	require.Equal(t, ids(1), ids(1))
	require.NotEqual(t, ids(1), ids(2))
	require.NotEqual(t, ids(0), ids(0))
}

// The name of a function is found only when somebody asks.
func TestPathOfADeepTree(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var leaf *actor.Tasklet
		var down func(t *actor.Tasklet, n int)
		down = func(t *actor.Tasklet, n int) {
			leaf = t
			if n > 0 {
				actor.Go(t, func(t *actor.Tasklet) error { down(t, n-1); return forever(t) }, actor.Name("x"))
			}
		}
		down(t0, 500)
		t0.Sleep(1)
		require.Equal(t, "/tasklet"+strings.Repeat("/x", 500), leaf.Path())
		runtime.KeepAlive(leaf)
		return nil
	})
}
