package actortest

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// recorder is the testing.TB of one run of Explore. It records failures and logs, so that a failing
// run does not end the test. Calls that have nothing to do with failing go to the test's own TB:
// the name, temporary directories, the environment.
//
// The embedded TB provides the unexported method that only package testing can implement. All
// methods that report success or failure are written here. Methods that a later version of Go adds
// go to the test's own TB.
type recorder struct {
	testing.TB

	mu       sync.Mutex // protects the following
	logs     []string
	failed   bool
	skipped  bool
	over     bool // the run has ended: late failures go to the test's own TB
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) log(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.logs = append(r.logs, strings.TrimRight(text, "\n"))
	}
}

func (r *recorder) Log(args ...any)                 { r.log(fmt.Sprintln(args...)) }
func (r *recorder) Logf(format string, args ...any) { r.log(fmt.Sprintf(format, args...)) }

func (r *recorder) Fail() {
	r.mu.Lock()
	over := r.over
	r.failed = true
	r.mu.Unlock()
	if over {
		r.TB.Errorf("actortest: a run of Explore failed after its end")
	}
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Error(args ...any) {
	r.Log(args...)
	r.Fail()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.Logf(format, args...)
	r.Fail()
}

func (r *recorder) Fatal(args ...any) {
	r.Log(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	r.FailNow()
}

func (r *recorder) Skip(args ...any) {
	r.Log(args...)
	r.SkipNow()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.Logf(format, args...)
	r.SkipNow()
}

func (r *recorder) SkipNow() {
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Skipped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.skipped
}

// Output returns a writer whose lines are logged.
func (r *recorder) Output() io.Writer { return recorded{r} }

type recorded struct{ r *recorder }

func (w recorded) Write(p []byte) (int, error) {
	w.r.log(string(p))
	return len(p), nil
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// end calls the functions given to Cleanup, the last first, each whatever the others do.
func (r *recorder) end() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.over = true
			r.mu.Unlock()
			return
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		done := make(chan struct{})
		go func() { // f may call FailNow
			defer close(done)
			defer func() {
				if v := recover(); v != nil {
					r.Errorf("panic in Cleanup: %v", v)
				}
			}()
			f()
		}()
		<-done
	}
}
