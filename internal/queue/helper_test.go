package queue

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// runFunc is a Runner that is called each time.
type runFunc func(*core.Task)

func (f runFunc) Run(t *core.Task) { f(t) }

var lastID atomic.Uint64

// spawn makes a ready task of s that runs f once. It is finished when f is over, by a kill too;
// other panics end the scheduler.
func spawn(s *core.Scheduler, f func(*core.Task)) *core.Task {
	t := new(core.Task)
	t.Init(s, lastID.Add(1), runFunc(func(t *core.Task) {
		defer func() {
			v := recover()
			t.Finish()
			if _, ok := v.(*core.Exit); v != nil && !ok {
				panic(v)
			}
		}()
		f(t)
	}))
	t.Wake()
	return t
}

// testFailure is what fail panics with.
type testFailure string

func (f testFailure) Error() string { return string(f) }

// fail ends the scheduler from inside a task, so that mustEnd fails the test: t.Fatal would end
// only the task.
func fail(format string, args ...any) { panic(testFailure(fmt.Sprintf(format, args...))) }

// mustEnd runs s to its end, which must be a good one.
func mustEnd(t testing.TB, s *core.Scheduler) {
	t.Helper()
	err := s.Run()
	var f testFailure
	if errors.As(err, &f) {
		t.Fatal(f)
	}
	var p *scheduler.PanicError
	if errors.As(err, &p) {
		t.Fatalf("Run() = %v\n%s", err, p.Stack)
	}
	if err != nil {
		t.Fatalf("Run() = %v", err)
	}
	if l := s.Leaked(); len(l) != 0 {
		t.Fatalf("leaked %v", l)
	}
}

// receiver is a stackless reader, as package actor has them: called with one message after the
// other, at most 64 in a row.
type receiver[M any] struct {
	core.Task
	box    Queue[M]
	handle func(M)
}

func newReceiver[M any](s *core.Scheduler, cfg Config, handle func(M)) *receiver[M] {
	r := &receiver[M]{handle: handle}
	r.Init(s, lastID.Add(1), r)
	r.box.Init(cfg)
	r.box.Open(&r.Task)
	r.Wake()
	return r
}

func (r *receiver[M]) Run(t *core.Task) {
	for range 64 {
		v, ok := r.box.Take()
		switch {
		case ok:
			r.handle(v)
			r.box.Settle(nil)
		case r.box.Await(1):
			return
		case r.box.Drained():
			r.box.Discard()
			t.Finish()
			return
		}
	}
	t.Wake()
}

// home runs f as a task of a scheduler that stops when f is over.
func home(t *testing.T, f func(d *core.Task)) {
	t.Helper()
	s := core.New(core.Config{Clock: scheduler.NewVirtualClock(time.Time{})})
	spawn(s, func(d *core.Task) {
		defer s.Stop()
		f(d)
	})
	mustEnd(t, s)
}

// bubble is home in a bubble of synctest, with a second scheduler, for tests with goroutines: rest
// lets everybody come to rest.
func bubble(t *testing.T, f func(d *core.Task, other *core.Scheduler, rest func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, other := core.New(core.Config{}), core.New(core.Config{})
		spawn(s, func(d *core.Task) {
			defer s.Stop()
			defer other.Stop()
			f(d, other, func() {
				for range 4 {
					d.Yield()
					synctest.Wait()
				}
			})
		})
		done := make(chan error, 1)
		go func() { done <- other.Run() }()
		mustEnd(t, s)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// opened makes a mailbox that d reads.
func opened[M any](d *core.Task, cfg Config) *Queue[M] {
	m := New[M](cfg)
	m.Open(d)
	return m
}

// queued takes what is there.
func queued[M any](m *Queue[M]) []M {
	var all []M
	for v, ok := m.TryNext(); ok; v, ok = m.TryNext() {
		all = append(all, v)
	}
	m.Settle(nil)
	return all
}

func want[T any](what string, got, want T) {
	if !reflect.DeepEqual(got, want) {
		fail("%s: %v, want %v", what, got, want)
	}
}

func wantErr(what string, got, want error) {
	if !errors.Is(got, want) || (want == nil && got != nil) {
		fail("%s: error %v, want %v", what, got, want)
	}
}

// wantPanic calls f, which must panic with a text that has all the words in it.
func wantPanic(f func(), words ...string) {
	defer func() {
		text := fmt.Sprint(recover())
		for _, w := range words {
			if !strings.Contains(text, w) {
				fail("panic %q, want %q in it", text, w)
			}
		}
	}()
	f()
}

// losses collects reports.
type losses struct {
	mu  sync.Mutex
	all []Loss
}

func (l *losses) MessagesLost(one Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, one)
}

func (l *losses) count(reason error) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		if one.Reason == reason {
			n += one.Count
		}
	}
	return n
}
