package entity_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/entity"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var errCrash = errors.New("crash")

// message is what the entities of the tests take.
type message struct {
	text  string
	err   error
	sleep time.Duration
	reply actor.Reply[string]
	call  bool
}

// book logs what the entities do.
type book struct {
	log    []string
	living map[string]int
	tb     testing.TB
}

func newBook(t *actor.Tasklet) *book { return &book{living: map[string]int{}, tb: actortest.TB(t)} }

func (b *book) add(format string, args ...any) { b.log = append(b.log, fmt.Sprintf(format, args...)) }

// took returns what was logged since the last call.
func (b *book) took() string {
	s := strings.Join(b.log, ", ")
	b.log = nil
	return s
}

func (b *book) init(t *actor.Tasklet, key string) (actor.Handler[message], error) {
	if b.living[key]++; b.living[key] > 1 {
		b.tb.Errorf("%d tasklets of %s", b.living[key], key)
	}
	t.Defer(func() { b.living[key]--; b.add("end %s", key) })
	b.add("start %s", key)
	if strings.HasPrefix(key, "bad") {
		return nil, errCrash
	}
	if strings.HasPrefix(key, "no") {
		return nil, actor.ErrStop
	}
	return func(t *actor.Tasklet, m message) error {
		t.Sleep(m.sleep)
		b.add("%s:%s", key, m.text)
		if m.call {
			_ = m.reply.Send(t, key+m.text)
		}
		return m.err
	}, nil
}

func start(t *actor.Tasklet, spec entity.Spec[string, message]) (*entity.Entities[string, message], *book) {
	b := newBook(t)
	if spec.Init == nil {
		spec.Init = b.init
	}
	es, err := entity.Start(t, spec)
	require.NoError(b.tb, err)
	return es, b
}

// settle lets everything happen that can happen now.
func settle(t *actor.Tasklet) { t.Sleep(10 * time.Millisecond) }

// An entity starts with its first message, and stops when it is idle. A later message starts it
// again.
func TestIdleStop(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{Idle: time.Second})
		require.Nil(tb, es.Get("a"))
		require.NoError(tb, es.Send(t, "a", message{text: "1"}))
		require.NoError(tb, es.Send(t, "b", message{text: "1"}))
		require.NoError(tb, es.TrySend(t, "a", message{text: "2"}))
		require.Equal(tb, 2, es.Len())
		t.Sleep(900 * time.Millisecond)
		require.Equal(tb, "start a, start b, a:1, b:1, a:2", b.took())
		require.Equal(tb, "a", es.Get("a").Name())
		require.Equal(tb, []string{"a", "b"}, es.Keys())
		require.NoError(tb, es.Send(t, "b", message{text: "2"}))
		t.Sleep(500 * time.Millisecond)
		require.Equal(tb, "b:2, end a", b.took())
		require.Equal(tb, []string{"b"}, es.Keys())
		t.Sleep(time.Second)
		require.Equal(tb, "end b", b.took())
		require.Zero(tb, es.Len())
		require.Empty(tb, es.Tasklet().Children())
		v, err := entity.Call(t, es, "a", func(r actor.Reply[string]) message { return message{text: "3", call: true, reply: r} })
		require.NoError(tb, err)
		require.Equal(tb, "a3", v)
		require.Equal(tb, "start a, a:3", b.took())
	})
}

// A sender that meets a closed entity makes the next one, which waits for the end of the first.
func TestSuccessor(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{MaxLive: 1})
		require.NoError(tb, es.Send(t, "a", message{text: "1", sleep: time.Second}))
		require.NoError(tb, es.Send(t, "a", message{text: "2"}))
		settle(t)
		ctx, cancel := actor.WithTimeout(t, time.Millisecond)
		defer cancel()
		require.ErrorIs(tb, es.Stop(ctx, "a"), actor.ErrTimeout)
		require.NoError(tb, es.Send(t, "a", message{text: "3"})) // in the same place
		var full *entity.FullError
		require.ErrorAs(tb, es.Send(t, "b", message{}), &full)
		require.Equal(tb, entity.FullError{Set: es.Tasklet().Path(), Limit: 1}, *full)
		require.ErrorIs(tb, full, mailbox.ErrFull)
		require.NoError(tb, es.Stop(t, "a")) // the second, which has not started yet
		require.Equal(tb, "start a, a:1, a:2, end a, start a, a:3, end a", b.took())
		require.Zero(tb, es.Len())
		require.NoError(tb, es.Stop(t, "a"))
		require.NoError(tb, es.Send(t, "b", message{text: "4"}))
		settle(t)
		require.Equal(tb, "start b, b:4", b.took())
	})
}

// The handler that returns ErrStop ends the entity. What is queued is for the next tasklet.
func TestErrStop(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{})
		require.NoError(tb, es.Send(t, "a", message{text: "1", err: actor.ErrStop}))
		require.NoError(tb, es.Send(t, "a", message{text: "2"}))
		require.NoError(tb, es.Send(t, "a", message{text: "3", err: actor.ErrStop}))
		settle(t)
		require.Equal(tb, "start a, a:1, end a, start a, a:2, a:3, end a", b.took())
		require.Zero(tb, es.Len())
	})
}

// The entity that has been idle the longest is evicted. One with messages never is.
func TestEvict(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{MaxLive: 3, Evict: true})
		for _, key := range []string{"a", "b", "c", "a"} {
			require.NoError(tb, es.Send(t, key, message{}))
			settle(t)
		}
		b.took()
		require.NoError(tb, es.Send(t, "d", message{}))
		settle(t)
		require.Equal(tb, "end b, start d, d:", b.took())
		require.NoError(tb, es.Send(t, "c", message{text: "slow", sleep: time.Second}))
		require.NoError(tb, es.Send(t, "b", message{}))
		settle(t)
		require.Equal(tb, "end a, start b, b:", b.took())
		require.NoError(tb, es.Send(t, "b", message{text: "slow", sleep: time.Second}))
		require.NoError(tb, es.Send(t, "d", message{text: "slow", sleep: time.Second}))
		settle(t)
		var full *entity.FullError
		require.ErrorAs(tb, es.TrySend(t, "a", message{}), &full)
		t.Sleep(2 * time.Second)
		require.Equal(tb, "c:slow, b:slow, d:slow", b.took())
		require.NoError(tb, es.Send(t, "a", message{}))
		settle(t)
		require.Equal(tb, "end c, start a, a:", b.took())
		require.ElementsMatch(tb, []string{"a", "b", "d"}, es.Keys())
	})
}

// An entity that fails is restarted with its messages, until it fails too often. Its key is put
// aside for a time; the others go on.
func TestFailures(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{Name: "set", Intensity: 2, Backoff: time.Minute})
		for _, text := range []string{"1", "2"} {
			require.NoError(tb, es.Send(t, "a", message{text: text, err: errCrash}))
		}
		require.NoError(tb, es.Send(t, "a", message{text: "3"}))
		require.NoError(tb, es.Send(t, "b", message{text: "1", err: errCrash}))
		settle(t)
		require.Equal(tb, "start a, start b, a:1, end a, b:1, end b, start a, start b, a:2, end a, start a, a:3", b.took())
		require.NoError(tb, es.Send(t, "a", message{text: "4", err: errCrash}))
		require.NoError(tb, es.Send(t, "a", message{text: "5"})) // a dead letter
		settle(t)
		require.Equal(tb, "a:4, end a", b.took())
		var failed *entity.FailedError
		err := es.Send(t, "a", message{})
		require.ErrorAs(tb, err, &failed)
		require.ErrorIs(tb, err, errCrash)
		require.Equal(tb, "a", failed.Name)
		require.Equal(tb, `entity: "a" is put aside because it has failed too often: /test/set/a: crash`, err.Error())
		// The tree shows it for that time.
		rows := tree.Snapshot(es.Tasklet())
		require.Len(tb, rows, 3)
		require.Equal(tb, "a", rows[2].Name)
		require.Nil(tb, rows[2].Tasklet)
		require.ErrorIs(tb, rows[2].Last, errCrash)
		require.NoError(tb, es.Send(t, "b", message{text: "2"}))
		t.Sleep(time.Minute)
		require.Len(tb, tree.Snapshot(es.Tasklet()), 2)
		require.NoError(tb, es.Send(t, "a", message{text: "6"}))
		settle(t)
		require.Equal(tb, "b:2, start a, a:6", b.took())

		// The error of an init counts like any other. A call gets it, and Stop forgets it.
		_, err = entity.Call(t, es, "bad", func(r actor.Reply[string]) message { return message{call: true, reply: r} })
		require.ErrorAs(tb, err, &failed)
		require.ErrorIs(tb, err, errCrash)
		require.Equal(tb, "start bad, end bad, start bad, end bad, start bad, end bad", b.took())
		require.ErrorAs(tb, es.Send(t, "bad", message{}), &failed)
		require.NoError(tb, es.Stop(t, "bad"))
		require.NoError(tb, es.Send(t, "bad", message{}))
		require.NoError(tb, es.Send(t, "no", message{})) // a dead letter
		settle(t)
		require.ElementsMatch(tb, []string{"a", "b"}, es.Keys())
		require.NoError(tb, es.Tasklet().Err())
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Failure))
}

// A drain handles what was accepted, also by entities that have not started yet.
func TestDrain(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{MaxLive: 2, Evict: true, Intensity: 9})
		require.NoError(tb, es.Send(t, "a", message{}))
		settle(t)
		require.NoError(tb, es.Send(t, "b", message{text: "1", sleep: time.Second, err: errCrash}))
		require.NoError(tb, es.Send(t, "b", message{text: "2"}))
		require.NoError(tb, es.Send(t, "c", message{text: "3"})) // evicts a
		require.NoError(tb, es.Drain(t))
		require.Equal(tb, "start a, a:, end a, start b, start c, c:3, end c, b:1, end b, start b, b:2, end b",
			strings.Replace(b.took(), "start b, end a", "end a, start b", 1))
		require.ErrorIs(tb, es.Send(t, "a", message{}), mailbox.ErrClosed)
		require.ErrorIs(tb, es.Stop(t, "a"), mailbox.ErrClosed)
		require.Zero(tb, es.Len())
		require.Nil(tb, es.Get("a"))
		require.Empty(tb, es.Keys())
	}, actortest.Allow(event.Failure))
}

// A drain that is cut counts the messages of entities that have not started.
func TestDrainIsCut(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, _ := start(t, entity.Spec[string, message]{Name: "set", MaxLive: 2, Evict: true})
		require.NoError(tb, es.Send(t, "a", message{sleep: time.Hour}))
		settle(t)
		actor.Go(t, func(t *actor.Tasklet) error { return es.Stop(t, "a") })
		settle(t)
		for range 3 { // for the next incarnation
			require.NoError(tb, es.Send(t, "a", message{}))
		}
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		var left *actor.DrainError
		require.ErrorAs(tb, es.Drain(ctx), &left)
		require.Equal(tb, map[string]int{"/test/set": 3, "/test/set/a": 0}, left.Left)
	}, actortest.Allow(event.DeadLetter))
}

// A context that has ended starts no entity, and a call with it says so.
func TestEndedContext(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, b := start(t, entity.Spec[string, message]{})
		cause := errors.New("enough")
		inside, cancel := context.WithCancelCause(t)
		cancel(cause)
		outside, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		late, stop := actor.WithTimeout(t, time.Millisecond)
		defer stop()
		t.Sleep(time.Second)
		request := func(r actor.Reply[string]) message { return message{call: true, reply: r} }
		check := func(ctx context.Context, want error) {
			require.ErrorIs(tb, es.Send(ctx, "a", message{}), want)
			require.ErrorIs(tb, es.TrySend(ctx, "a", message{}), want)
			_, err := entity.Call(ctx, es, "a", request)
			require.ErrorIs(tb, err, want)
		}
		check(inside, cause)
		check(late, actor.ErrTimeout)
		_, err := actor.Await(t, func(context.Context) (int, error) { check(outside, cause); return 0, nil })
		require.NoError(tb, err)
		settle(t)
		require.Zero(tb, es.Len())
		require.Empty(tb, b.took())

		// A live entity takes what it has room for, as a ref does.
		require.NoError(tb, es.Send(t, "a", message{text: "1"}))
		require.NoError(tb, es.Send(inside, "a", message{text: "2"}))
		settle(t)
		require.Equal(tb, "start a, a:1, a:2", b.took())
	})
}

// Spec.Overflow is the policy of each entity's mailbox.
func TestOverflow(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		for p, want := range map[mailbox.Policy]string{
			mailbox.Fail: "0:, 0:1, 0:2", mailbox.DropNewest: "1:, 1:1, 1:2", mailbox.DropOldest: "2:, 2:2, 2:3", mailbox.Unbounded: "3:, 3:1, 3:2, 3:3",
		} {
			key := strings.Split(want, ":")[0]
			spec := entity.Spec[string, message]{Overflow: p, MailboxLen: 2}
			if p == mailbox.Unbounded {
				spec.MailboxLen = 0
			}
			es, b := start(t, spec)
			require.NoError(tb, es.Send(t, key, message{sleep: time.Second}))
			settle(t)
			for _, text := range []string{"1", "2", "3"} {
				if err := es.Send(t, key, message{text: text}); p == mailbox.Fail && text == "3" {
					require.ErrorIs(tb, err, mailbox.ErrFull)
				} else {
					require.NoError(tb, err)
				}
			}
			t.Sleep(time.Minute)
			require.Equal(tb, "start "+key+", "+want, b.took())
		}
	}, actortest.Allow(event.DeadLetter))
}

// A set that is killed stops all its entities. Nothing that was accepted is lost in silence, also
// if its entity has not started. The next incarnation of the set is empty.
func TestKillOfTheSet(t *testing.T) {
	dead := 0
	count := actortest.Configure(func(c *actor.Config) {
		before := c.OnEvent
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.DeadLetter {
				dead += e.Count
			}
			if before != nil {
				before(e)
			}
		}
	})
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		b := newBook(t)
		es := entity.New(entity.Spec[string, message]{Name: "set", Init: b.init})
		require.Nil(tb, es.Tasklet())
		require.ErrorIs(tb, es.Send(t, "a", message{}), mailbox.ErrClosed)
		require.Panics(tb, func() { _ = es.Drain(t) })
		_, err := supervisor.Start(t, supervisor.Spec{Name: "top", Children: []supervisor.Child{{ID: "set", Body: es.Body()}}})
		require.NoError(tb, err)
		require.NoError(tb, es.Send(t, "a", message{}))
		settle(t)
		es.Tasklet().Kill()
		require.NoError(tb, es.Send(t, "b", message{})) // never starts
		settle(t)
		require.Equal(tb, "start a, a:, end a", b.took())
		require.Equal(tb, 1, dead)
		require.NoError(tb, es.Send(t, "a", message{text: "2"}))
		settle(t)
		require.Equal(tb, "start a, a:2", b.took())
	}, count, actortest.Allow(event.DeadLetter))
}

// An entity that stops itself with Stop gets an error, and does not wait for ever.
func TestStopOfItself(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var es *entity.Entities[string, message]
		var result error
		es, _ = start(t, entity.Spec[string, message]{Init: func(t *actor.Tasklet, key string) (actor.Handler[message], error) {
			return func(t *actor.Tasklet, m message) error { result = es.Stop(t, key); return nil }, nil
		}})
		require.NoError(tb, es.Send(t, "a", message{}))
		settle(t)
		require.ErrorContains(tb, result, "ErrStop")
	})
}

// The inits of two entities do not wait for each other.
func TestSlowInit(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, _ := start(t, entity.Spec[string, message]{Init: func(t *actor.Tasklet, key string) (actor.Handler[message], error) {
			t.Sleep(time.Second)
			return func(t *actor.Tasklet, m message) error {
				if m.call {
					return m.reply.Send(t, key)
				}
				return nil
			}, nil
		}})
		begin := t.System().Now()
		for i := range 9 {
			require.NoError(tb, es.Send(t, fmt.Sprint(i), message{}))
		}
		_, err := entity.Call(t, es, "x", func(r actor.Reply[string]) message { return message{call: true, reply: r} })
		require.NoError(tb, err)
		require.Less(tb, t.System().Now().Sub(begin), 2*time.Second)
	})
}

// A request that was handled is not sent again, whatever the handler answers.
func TestCallIsSentOnce(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		handled := 0
		var es *entity.Entities[string, message]
		es, _ = start(t, entity.Spec[string, message]{Init: func(t *actor.Tasklet, key string) (actor.Handler[message], error) {
			return func(t *actor.Tasklet, m message) error {
				handled++
				actor.Self[message](t).Close()
				return m.reply.Fail(t, mailbox.ErrClosed)
			}, nil
		}})
		for i := range 3 {
			_, err := entity.Call(t, es, "a", func(r actor.Reply[string]) message { return message{reply: r} })
			require.ErrorIs(tb, err, mailbox.ErrClosed)
			require.Equal(tb, i+1, handled)
		}
	})
}

// The same from ordinary goroutines, whose calls get their memory from a pool.
func TestCallFromGoroutines(t *testing.T) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), Schedulers: 2})
	require.NoError(t, err)
	handled := 0
	es, err := entity.Start(sys, entity.Spec[int, message]{Init: func(t *actor.Tasklet, key int) (actor.Handler[message], error) {
		return func(t *actor.Tasklet, m message) error {
			handled++
			actor.Self[message](t).Close()
			return m.reply.Fail(t, mailbox.ErrClosed)
		}, nil
	}})
	require.NoError(t, err)
	ctx := context.Background()
	refused, calls := 0, 300
	for range calls {
		tries := 0
		_, err := entity.Call(ctx, es, 1, func(r actor.Reply[string]) message { tries++; return message{reply: r} })
		require.ErrorIs(t, err, mailbox.ErrClosed)
		refused += tries - 1
	}
	require.NoError(t, sys.Stop(ctx))
	require.Equal(t, calls, handled)
	t.Log(refused, "requests were refused and sent again")
}

func TestSpec(t *testing.T) {
	init := func(*actor.Tasklet, int) (actor.Handler[int], error) { return nil, nil }
	for want, spec := range map[string]entity.Spec[int, int]{
		"Init is nil":                 {},
		"Name has a slash":            {Init: init, Name: "a/b"},
		"MaxLive is negative":         {Init: init, MaxLive: -1},
		"Idle is negative":            {Init: init, Idle: -1},
		"MailboxLen is negative":      {Init: init, MailboxLen: -1},
		"Overflow is not a policy":    {Init: init, Overflow: 9},
		"MailboxLen is positive with": {Init: init, Overflow: mailbox.Unbounded, MailboxLen: 1},
		"MailboxLen is more than":     {Init: init, MailboxLen: mailbox.MaxCap + 1},
		"Intensity is negative":       {Init: init, Intensity: -2},
		"Period is negative":          {Init: init, Period: -1},
		"Backoff is negative":         {Init: init, Backoff: -1},
		"Shutdown is negative":        {Init: init, Shutdown: -3},
		"Options are invalid":         {Init: init, Options: []actor.Option{actor.Daemon()}},
		"the option MailboxLen can't": {Init: init, Options: []actor.Option{actor.MailboxLen(1)}},
	} {
		_, err := entity.Start[int, int](nil, spec)
		var invalid *supervisor.SpecError
		require.ErrorAs(t, err, &invalid, want)
		require.ErrorContains(t, err, "entity.Spec.")
		require.ErrorContains(t, err, want)
		require.Panics(t, func() { entity.New(spec) })
	}
}

// Whatever a key is, it names its entity on one line, and no other place in the tree.
func TestHostileKeys(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, _ := start(t, entity.Spec[string, message]{Name: "set"})
		for _, key := range []string{"", "a/b", "line\nbreak", strings.Repeat("x", 5000)} {
			require.NoError(tb, es.Send(t, key, message{}))
			settle(t)
			require.NotContains(tb, strings.TrimPrefix(es.Get(key).Path(), es.Tasklet().Path()+"/"), "/")
			require.NotContains(tb, es.Get(key).Path(), "\n")
		}
	})
}

// The tree shows the set with its limit, and the entities by their keys.
func TestTree(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, _ := start(t, entity.Spec[string, message]{Name: "set", MaxLive: 7, Label: func(k string) string { return "key " + k }})
		require.NoError(tb, es.Send(t, "a", message{}))
		require.NoError(tb, es.Send(t, "b", message{err: errCrash}))
		settle(t)
		rows := tree.Snapshot(es.Tasklet())
		require.Len(tb, rows, 3)
		require.Equal(tb, "entities", rows[0].Kind)
		require.Equal(tb, 2, rows[0].Supervision.Children)
		require.Equal(tb, 1, rows[0].Supervision.Total)
		require.Equal(tb, "7", rows[0].Labels["limit"])
		require.Equal(tb, "key a", rows[1].Name)
		require.Equal(tb, 1, rows[2].Restarts)
		var w strings.Builder
		require.NoError(tb, tree.Write(&w, t, tree.Width(160)))
		tb.Log("\n" + w.String())
	}, actortest.Allow(event.Failure))
}

func ExampleStart() {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		accounts, err := entity.Start(t, entity.Spec[string, int]{
			Name: "accounts", MaxLive: 10_000, Idle: time.Minute, Evict: true,
			Init: func(t *actor.Tasklet, id string) (actor.Handler[int], error) {
				fmt.Println("load", id)
				balance := 0
				t.Defer(func() { fmt.Println("store", id, balance) })
				return func(t *actor.Tasklet, amount int) error {
					balance += amount
					return nil
				}, nil
			},
		})
		if err != nil {
			return err
		}
		for _, amount := range []int{100, -30} {
			if err := accounts.Send(t, "alice", amount); err != nil {
				return err
			}
		}
		t.Sleep(2 * time.Minute)
		fmt.Println(accounts.Len(), "live")
		return nil
	})
	fmt.Println(err)
	// Output:
	// load alice
	// store alice 70
	// 0 live
	// <nil>
}

// Times from 10 ns to the largest do what they say.
func TestOddTimes(t *testing.T) {
	for _, d := range []time.Duration{10, time.Millisecond, math.MaxInt64 / 2, math.MaxInt64} {
		actortest.Run(t, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			es, _ := start(t, entity.Spec[string, message]{Idle: d, Period: d, Backoff: d, Shutdown: d})
			short := d < time.Hour
			require.NoError(tb, es.Send(t, "a", message{text: "1", err: errCrash}))
			settle(t)
			require.NoError(tb, es.Send(t, "a", message{text: "2", err: errCrash}))
			settle(t)
			err := es.Send(t, "a", message{text: "3"})
			var failed *entity.FailedError
			if short { // the second failure is in another period
				require.NoError(tb, err)
			} else if require.ErrorAs(tb, err, &failed); true {
				require.True(tb, failed.Until.After(t.System().Now().Add(time.Hour)))
			}
			require.NoError(tb, es.Stop(t, "a"))
			require.NoError(tb, es.Send(t, "b", message{text: "1"}))
			settle(t)
			require.Equal(tb, !short, es.Get("b") != nil)
		}, actortest.Allow(event.Failure), actortest.Limit(time.Hour))
	}
}

// A ref of an entity lives over restarts, and is closed when the entity stops. Then Ref makes the
// next one.
func TestRef(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		es, b := start(t, entity.Spec[string, message]{Idle: time.Minute})
		ref, err := es.Ref(t, "a")
		require.NoError(b.tb, err)
		again, err := es.Ref(t, "a")
		require.NoError(b.tb, err)
		require.Equal(b.tb, ref, again)
		require.NoError(b.tb, ref.Send(t, message{text: "1", err: errCrash}))
		require.NoError(b.tb, ref.Send(t, message{text: "2"}))
		t.Sleep(time.Second)
		require.Equal(b.tb, "start a, a:1, end a, start a, a:2", b.took())
		again, err = es.Ref(t, "a")
		require.NoError(b.tb, err)
		require.Equal(b.tb, ref, again)
		t.Sleep(2 * time.Minute)
		require.True(b.tb, ref.IsClosed())
		next, err := es.Ref(t, "a")
		require.NoError(b.tb, err)
		require.NotEqual(b.tb, ref, next)
		require.NoError(b.tb, next.Send(t, message{text: "3"}))
		require.NoError(b.tb, es.Stop(t, "a"))
		require.Equal(b.tb, "end a, start a, a:3, end a", b.took())
		closed := next
		next, err = es.Ref(t, "a")
		require.NoError(b.tb, err)
		require.NotEqual(b.tb, closed, next)
		require.NoError(b.tb, es.Drain(t))
		_, err = es.Ref(t, "a")
		require.ErrorIs(b.tb, err, mailbox.ErrClosed)
	}, actortest.Allow(supervisor.EventRestart))
}
