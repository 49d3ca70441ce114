package actor_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// world is what calls in the name of a tasklet may be made with.
type world struct {
	t       *actor.Tasklet
	ctx     context.Context // t itself, or derived from it
	full    actor.Ref[int]
	roomy   actor.Ref[int]
	answers actor.Ref[actor.Reply[int]]
	other   *actor.Task[int]
	inbox   *mailbox.Mailbox[int] // of t
	tools   *tools
	local   *actor.Local[int]
	slot    *actor.Slot // of t
}

type tools struct {
	ch    *scheduler.Chan[int]
	mutex scheduler.Mutex
	sem   *scheduler.Semaphore
	event scheduler.Event
	wg    scheduler.WaitGroup
}

// callsOf are all calls of the three packages that are made in the name of a tasklet: they take a
// context or are its methods.
var callsOf = map[string]func(w *world){
	"actor.Tasklet.Sleep":        func(w *world) { w.t.Sleep(time.Millisecond) },
	"actor.Tasklet.Yield":        func(w *world) { w.t.Yield() },
	"actor.Tasklet.Defer":        func(w *world) { w.t.Defer(func() {}) },
	"actor.Tasklet.Join":         func(w *world) { _ = w.other.Tasklet().Join(w.ctx) },
	"actor.Tasklet.JoinChildren": func(w *world) { _, _ = w.t.JoinChildren(w.ctx) },
	"actor.Task.Join":            func(w *world) { _, _ = w.other.Join(w.ctx) },
	"actor.JoinAll":              func(w *world) { _, _ = actor.JoinAll(w.ctx, w.other) },
	"actor.JoinEach":             func(w *world) { _, _ = actor.JoinEach(w.ctx, w.other.Tasklet()) },
	"actor.Ref.Join":             func(w *world) { _ = w.roomy.Join(w.ctx) },
	"actor.Ref.Send":             func(w *world) { _ = w.full.Send(w.ctx, 1) },
	"actor.Ref.Send with room":   func(w *world) { _ = w.roomy.Send(w.ctx, 1) },
	"actor.Ref.TrySend":          func(w *world) { _ = w.roomy.TrySend(w.ctx, 1) },
	"actor.Call": func(w *world) {
		_, _ = actor.Call(w.ctx, w.answers, func(r actor.Reply[int]) actor.Reply[int] { return r })
	},
	"actor.Tasklet.Drain":   func(w *world) { _ = w.other.Tasklet().Drain(w.ctx) },
	"actor.Tasklet.OnDrain": func(w *world) { w.t.OnDrain(func() {}) },
	"actor.Sleep":           func(w *world) { _ = actor.Sleep(w.ctx, time.Millisecond) },
	"actor.Yield":           func(w *world) { actor.Yield(w.ctx) },
	"actor.Await":           func(w *world) { _, _ = actor.Await(w.ctx, noResult) },
	"actor.Pipe":            func(w *world) { actor.Pipe(w.t, noResult, w.roomy, func(int, error) int { return 0 }) },
	"actor.Watch": func(w *world) {
		actor.Watch(w.t, w.other.Tasklet(), w.roomy, func(actor.Exit) int { return 0 })
	},
	"actor.WatchLineage": func(w *world) {
		actor.WatchLineage(w.t, w.full, w.roomy, func(actor.Life) int { return 0 })
	},
	"actor.SendAfter":     func(w *world) { actor.SendAfter(w.t, 0, w.roomy, 1) },
	"actor.Local.Set":     func(w *world) { w.local.Set(w.t, 1) },
	"actor.Local.Clear":   func(w *world) { w.local.Clear(w.t) },
	"actor.Go":            func(w *world) { actor.Go(w.t, doNothing) },
	"actor.New":           func(w *world) { actor.New(w.t, func(*actor.Tasklet) (int, error) { return 0, nil }) },
	"actor.Later":         func(w *world) { actor.Later(w.t, 0, doNothing) },
	"actor.Interval":      func(w *world) { actor.Interval(w.t, time.Hour, doNothing) },
	"actor.Loop":          func(w *world) { actor.Loop(w.t, doNothing) },
	"actor.Rate":          func(w *world) { actor.Rate(w.t, 1, func(*actor.Tasklet, time.Time) error { return nil }) },
	"actor.Receiver":      func(w *world) { actor.Receiver(w.t, func(*actor.Tasklet, int) error { return nil }) },
	"actor.BatchReceiver": func(w *world) { actor.BatchReceiver(w.t, 1, 1, func(*actor.Tasklet, []int) error { return nil }) },
	"actor.Spawn": func(w *world) {
		actor.Spawn(w.t, func(*actor.Tasklet, *mailbox.Mailbox[int]) error { return nil })
	},
	"actor.StartTasklet": func(w *world) {
		actor.StartTasklet(w.t, actor.GoBody(doNothing))
	},
	"actor.Tasklet.Started": func(w *world) { _ = w.other.Tasklet().Started(w.ctx) },
	"actor.NewSlot":         func(w *world) { _, _ = actor.NewSlot(w.t, actor.GoBody(doNothing), nil) },
	"actor.Slot.Start":      func(w *world) { _, _ = w.slot.Start(w.ctx) },
	"actor.Slot.Stop":       func(w *world) { _ = w.slot.Stop(w.ctx) },
	"scheduler.Chan.Send": func(w *world) {
		_ = w.tools.ch.Send(w.ctx, 1)
	},
	"scheduler.Chan.Receive": func(w *world) { _, _ = w.tools.ch.Receive(w.ctx) },
	"scheduler.Chan.All": func(w *world) {
		for range w.tools.ch.All(w.ctx) {
			break
		}
	},
	"scheduler.Mutex.Lock":        func(w *world) { _ = w.tools.mutex.Lock(w.ctx) },
	"scheduler.Mutex.TryLock":     func(w *world) { w.tools.mutex.TryLock(w.ctx) },
	"scheduler.Semaphore.Acquire": func(w *world) { _ = w.tools.sem.Acquire(w.ctx, 1) },
	"scheduler.Event.Wait":        func(w *world) { _ = w.tools.event.Wait(w.ctx) },
	"scheduler.WaitGroup.Wait":    func(w *world) { _ = w.tools.wg.Wait(w.ctx) },
	"scheduler.Task.Sleep":        func(w *world) { core.TaskOf(w.t).Sleep(1) },
	"scheduler.Task.Yield":        func(w *world) { core.TaskOf(w.t).Yield() },
	"scheduler.Task.Park":         func(w *world) { _ = core.TaskOf(w.t).Park(core.Wait{Kind: core.InSleep}) },
	"mailbox.Mailbox.Receive": func(w *world) {
		for range w.inbox.Receive() {
			break
		}
	},
	"mailbox.Mailbox.ReceiveTimeout": func(w *world) {
		for range w.inbox.ReceiveTimeout(1) {
			break
		}
	},
	"mailbox.Mailbox.ReceiveBatch": func(w *world) {
		for range w.inbox.ReceiveBatch(1, 1) {
			break
		}
	},
	"mailbox.Mailbox.Next":    func(w *world) { _, _ = w.inbox.Next(w.ctx) },
	"mailbox.Mailbox.TryNext": func(w *world) { _, _ = w.inbox.TryNext() },
	"mailbox.Mailbox.Match":   func(w *world) { _, _ = w.inbox.Match(w.ctx, func(int) bool { return true }) },
}

func noResult(context.Context) (int, error) { return 0, nil }
func doNothing(*actor.Tasklet) error        { return nil }

// otherCalls take a context or a tasklet, and are not made in its name; each with its reason.
var otherCalls = map[string]string{
	"scheduler.From":          "it only says whose the context is",
	"scheduler.Caller":        "it is the check",
	"scheduler.Outside":       "it makes a context",
	"scheduler.ContextError":  "it only looks at the context",
	"scheduler.WithTimeout":   "it makes a context, on any goroutine",
	"scheduler.WithDeadline":  "it makes a context, on any goroutine",
	"actor.Self":              "it may be asked on any goroutine",
	"actor.Reply.Send":        "the answer may be given on any goroutine",
	"actor.Reply.Fail":        "the answer may be given on any goroutine",
	"actor.Reply.Delegate":    "the parameter is the one who shall answer",
	"actor.Local.Get":         "it may be asked on any goroutine",
	"actor.System.Stop":       "it refuses every tasklet",
	"actor.System.Drain":      "it refuses every tasklet",
	"actor.Run":               "it makes a system",
	"actor.Tasklet.KillCause": "it may be called on any goroutine, and the context only says who kills",
	"actor.Ref.KillCause":     "it may be called on any goroutine, and the context only says who kills",
	"actor.Current":           "it only says whose the context is",
	"actor.WithTimeout":       "it makes a context, on any goroutine",
	"actor.WithDeadline":      "it makes a context, on any goroutine",
}

// A tasklet's own methods and its context, in the function of its own Await: refused by name, each
// of them, however early or late the function makes the call. The race detector sees nothing
// either.
func TestTaskletInsideItsAwait(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for _, name := range slices.Sorted(maps.Keys(callsOf)) {
		t.Run(name, func(t *testing.T) {
			for _, derived := range []bool{false, true} {
				run(t, func(t0 *actor.Tasklet) error { return insideAwait(t, t0, callsOf[name], derived, rounds) })
			}
		})
	}
}

func insideAwait(t *testing.T, t0 *actor.Tasklet, call func(*world), derived bool, rounds int) error {
	w := &world{
		local:   actor.NewLocal(func() int { return 0 }),
		full:    actor.Spawn(t0, func(t *actor.Tasklet, _ *mailbox.Mailbox[int]) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(1)),
		roomy:   actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.MailboxLen(1000)),
		answers: actor.Receiver(t0, func(_ *actor.Tasklet, r actor.Reply[int]) error { return r.Send(context.Background(), 1) }),
		other:   actor.New(t0, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 0, nil }),
		tools:   &tools{ch: scheduler.NewChan[int](0), sem: scheduler.NewSemaphore(1)},
	}
	require.NoError(t, w.full.Send(t0, 1))
	user := actor.Spawn(t0, func(t1 *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
		w.t, w.inbox, w.ctx = t1, inbox, t1
		var err error
		w.slot, err = actor.NewSlot(t1, actor.GoBody(doNothing), nil)
		require.NoError(t, err)
		// for JoinChildren
		actor.Go(t1, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		if derived {
			ctx, cancel := actor.WithTimeout(t1, time.Hour)
			defer cancel()
			w.ctx = ctx
		}
		for i := range rounds {
			_, err := actor.Await(t1, func(ctx context.Context) (int, error) {
				if i%2 == 1 { // when t1 is certainly parked
					for deadline := time.Now().Add(time.Second); t1.Info().Wait != "await" && time.Now().Before(deadline); {
					}
				}
				call(w)
				return 0, nil
			})
			var pe *actor.PanicError
			require.True(t, errors.As(err, &pe), "%v", err)
			require.Contains(t, pe.Error(), "inside its Await")
			require.Contains(t, pe.Error(), t1.Path())
		}
		t1.Sleep(time.Millisecond) // it may block again
		return nil
	})
	return user.Join(t0)
}

// What takes a context or a tasklet is in the table above, or in the list of those that are not
// meant. A new one has to be put into one of them.
func TestCallsInTheNameOfATaskletAreAllKnown(t *testing.T) {
	for _, pkg := range []string{"scheduler", "mailbox", "actor"} {
		names, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_trampoline.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || !fn.Name.IsExported() {
					continue
				}
				full := pkg + "."
				if recv := receiverOf(fn); recv != "" {
					if !ast.IsExported(recv) {
						continue
					}
					full += recv + "."
				}
				full += fn.Name.Name
				if _, ok := callsOf[full]; ok || !actsFor(fn) {
					continue
				}
				assert.Contains(t, otherCalls, full, "is it made in the name of a tasklet?")
			}
		}
	}
}

// actsFor reports whether a parameter of fn is a context or a tasklet.
func actsFor(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		switch ty := p.Type.(type) {
		case *ast.SelectorExpr:
			if ty.Sel.Name == "Context" {
				return true
			}
		case *ast.StarExpr:
			if id, ok := ty.X.(*ast.Ident); ok && (id.Name == "Tasklet" || id.Name == "Task") {
				return true
			}
		case *ast.Ident:
			if ty.Name == "Spawner" {
				return true
			}
		}
	}
	return false
}

func receiverOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	ty := fn.Recv.List[0].Type
	if s, ok := ty.(*ast.StarExpr); ok {
		ty = s.X
	}
	switch x := ty.(type) {
	case *ast.IndexExpr:
		ty = x.X
	case *ast.IndexListExpr:
		ty = x.X
	}
	if id, ok := ty.(*ast.Ident); ok {
		return id.Name
	}
	return "?"
}
