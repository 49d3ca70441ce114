package mailbox

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gotasklet/tasklet/scheduler"
)

// runFunc is a Runner that is called each time.
type runFunc func(*scheduler.Task)

func (f runFunc) Run(t *scheduler.Task) { f(t) }

var lastID atomic.Uint64

// spawn makes a ready task of s that runs f once. It is finished when f is over, by a kill too; other panics end the scheduler.
func spawn(s *scheduler.Scheduler, f func(*scheduler.Task)) *scheduler.Task {
	t := new(scheduler.Task)
	t.Init(s, lastID.Add(1), runFunc(func(t *scheduler.Task) {
		defer func() {
			v := recover()
			t.Finish()
			if _, ok := v.(*scheduler.Exit); v != nil && !ok {
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

// fail ends the scheduler from inside a task, so that mustEnd fails the test: t.Fatal would end only the task.
func fail(format string, args ...any) { panic(testFailure(fmt.Sprintf(format, args...))) }

// mustEnd runs s to its end, which must be a good one.
func mustEnd(t testing.TB, s *scheduler.Scheduler) {
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

// receiver is a stackless reader, as package actor has them: called with one message after the other, at most 64 in a row.
type receiver[M any] struct {
	scheduler.Task
	box    Mailbox[M]
	handle func(M)
}

func newReceiver[M any](s *scheduler.Scheduler, cfg Config, handle func(M)) *receiver[M] {
	r := &receiver[M]{handle: handle}
	r.Init(s, lastID.Add(1), r)
	r.box.Init(cfg)
	r.box.Open(&r.Task)
	r.Wake()
	return r
}

func (r *receiver[M]) Run(t *scheduler.Task) {
	for range 64 {
		v, ok := r.box.TryNext()
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
