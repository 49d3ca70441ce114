package core

import (
	"bytes"
	"iter"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/stack"
)

// Stall describes a task that keeps control, so that nothing else can run on its scheduler.
type Stall struct {
	ID  uint64        // the ID of the task
	For time.Duration // how long it has had control, approximately
	// Stack is where the task is now. It is nil if that would take too long to find out (with more
	// than 100,000 goroutines).
	Stack []byte
	// Over says that it has given up control. That is reported once after each report, at the
	// latest when Run ends.
	Over bool
}

// watchdog detects a task that hogs the scheduler. At each activation and resumption the loop
// stores one word, made of the task's id and a count. A goroutine samples it four times per limit.
// The same word four times in a row is a stall.
type watchdog struct {
	// Set in init, then read-only.
	s     *Scheduler
	limit time.Duration // not positive if the watchdog is off
	wake  chan struct{}
	quit  chan struct{}
	gone  chan struct{}

	// word is id<<24 | count, or 0 while the scheduler sleeps. Atomic: written by the loop and read
	// by the watchdog's goroutine. It is the only thing that the two share.
	word atomic.Uint64
	// asleep is atomic: set by the watchdog before it waits for the scheduler to be busy again, and
	// reset by the goroutine that wakes it.
	asleep atomic.Bool
	// hog is the last stall, or nil. Atomic: written by the watchdog's goroutine, and read by
	// callers of Stalled. It publishes the mark.
	hog atomic.Pointer[hogMark]
}

// hogMark is a stall that the watchdog has detected.
type hogMark struct {
	word  uint64
	since time.Time // in real time, whatever the scheduler's clock is
}

func (w *watchdog) init(s *Scheduler, limit time.Duration) {
	w.s, w.limit = s, limit
	if s.hooks.Stall == nil {
		w.limit = 0
	}
}

// note is called for every activation, even without a watchdog; see Busy.
func (w *watchdog) note(id uint64, count uint32) {
	w.word.Store(id<<24 | uint64(count&0xffffff))
}

func (w *watchdog) idle() { w.word.Store(0) }

// busy is called after a sleep, before anything runs. The word is not 0 any more before asleep is
// read, and the watchdog sets asleep before it reads the word. So one of the two sees the other.
func (w *watchdog) busy() {
	w.word.Store(1)
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

func (w *watchdog) start() {
	if w.limit <= 0 {
		return
	}
	w.wake, w.quit, w.gone = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	w.word.Store(1)
	go w.run()
}

func (w *watchdog) stop() {
	if w.limit > 0 {
		close(w.quit)
		<-w.gone
	}
}

// samples is the number of equal words in a row that make a stall.
const samples = 4

func (w *watchdog) run() {
	defer close(w.gone)
	period := max(w.limit/samples, time.Microsecond)
	tick := time.NewTimer(period)
	defer tick.Stop()
	var last uint64
	same := 0
	over := func() {
		if same >= samples {
			w.hog.Store(nil)
			w.s.hooks.Stall(Stall{ID: last >> 24, For: time.Duration(same) * period, Over: true})
		}
	}
	defer over()
	for {
		select {
		case <-tick.C:
		case <-w.quit:
			return
		}
		word := w.word.Load()
		if word != last || word == 0 {
			over()
			same = 0
			if word == 0 && last == 0 && !w.rest() {
				return
			}
			last = word
		} else if same++; same == samples {
			w.hog.Store(&hogMark{word, time.Now().Add(-w.limit)})
			w.s.hooks.Stall(Stall{ID: word >> 24, For: w.limit, Stack: w.s.Hog()})
		}
		tick.Reset(period)
	}
}

// rest makes the watchdog sleep as long as its scheduler does, so that an idle program has no timer
// that ticks. It returns false if the watchdog must quit.
func (w *watchdog) rest() bool {
	w.asleep.Store(true)
	if w.word.Load() != 0 && w.asleep.CompareAndSwap(true, false) {
		return true
	}
	select {
	case <-w.wake:
		return true
	case <-w.quit:
		return false
	}
}

// Busy returns the id of the task that had control last, and a word that changes whenever control
// does. It returns 0 while the scheduler sleeps. It may be called from any goroutine.
func (s *Scheduler) Busy() (id, word uint64) {
	word = s.watch.word.Load()
	return word >> 24, word
}

// Stalled returns the id of the task that has kept control for longer than StallAfter, and for how
// long, in real time. It returns 0 if there is none, or if the watchdog is off. It may be called
// from any goroutine.
func (s *Scheduler) Stalled() (id uint64, d time.Duration) {
	m := s.watch.hog.Load()
	if m == nil || m.word != s.watch.word.Load() {
		return 0, 0
	}
	return m.word >> 24, time.Since(m.since)
}

// Hog returns the stack of the goroutine that has control, as debug.Stack prints it, if it is
// inside an activation and not inside a switch. It returns nil if there are too many goroutines to
// search. It may be called from any goroutine.
func (s *Scheduler) Hog() []byte {
	return stack.Tidy(s.hog())
}

// hog returns what Hog returns, in the form of the goroutine profile or in that of runtime.Stack.
func (s *Scheduler) hog() []byte {
	var found [][]byte
	for group := range goroutines() {
		if s.has(group) {
			found = append(found, group)
		}
	}
	if found == nil && runtime.NumGoroutine() <= manyGoroutines {
		// The profile shows only the innermost frames, and those that identify a worker are the
		// outermost.
		for group := range bytes.SplitSeq(allStacks(), []byte("\n\n")) {
			if s.has(group) {
				found = append(found, bytes.Clone(group))
			}
		}
	}
	return bytes.Join(found, []byte("\n\n"))
}

const (
	// tooManyGoroutines is the number above which no goroutine is searched for.
	tooManyGoroutines = 100_000
	// manyGoroutines is the number above which runtime.Stack is not called for all goroutines,
	// because it stops the world while it writes.
	manyGoroutines = 2_000
	// maxStacks is the largest length of the text about all goroutines, in bytes.
	maxStacks = 16 << 20
)

// goroutines iterates over the groups of the goroutine profile, as text. Goroutines with the same
// stack are one group. It yields nothing if that would take too long.
func goroutines() iter.Seq[[]byte] {
	var buf bytes.Buffer
	if runtime.NumGoroutine() <= tooManyGoroutines {
		_ = pprof.Lookup("goroutine").WriteTo(&buf, 1) // a Buffer takes everything
	}
	return bytes.SplitSeq(buf.Bytes(), []byte("\n\n"))
}

// allStacks returns the text of runtime.Stack about all goroutines.
func allStacks() []byte {
	for n := 1 << 20; ; n *= 4 {
		buf := make([]byte, n)
		if written := runtime.Stack(buf, true); written < n || n >= maxStacks {
			return buf[:written]
		}
	}
}

// has reports whether a goroutine with the stack in group has control of s. It recognizes the
// goroutine by the frames that spell the number of s; see Here. Unlike a label of the profiler, a
// program cannot remove them.
func (s *Scheduler) has(group []byte) bool {
	number, called := uint32(1), false
	for line := range bytes.Lines(group) {
		_, frame, ok := bytes.Cut(line, []byte("github.com/gotasklet/tasklet/internal/core.(*"))
		if !ok {
			continue
		}
		switch name, _, _ := bytes.Cut(frame, []byte(framesEnd(frame))); string(name) {
		case "Scheduler).switchTo", "Scheduler).sleep":
			return false
		case "Task).zero":
			number <<= 1
		case "Task).one":
			number = number<<1 | 1
		case "Scheduler).call":
			called = true
		case "Scheduler).loop":
			return called && number == s.number.Load()
		}
	}
	return false
}

// framesEnd returns what follows the name of a function: an offset in a profile, arguments in the
// text of runtime.Stack.
func framesEnd(frame []byte) string {
	if i := bytes.IndexAny(frame, "+("); i >= 0 {
		return string(frame[i : i+1])
	}
	return "\n"
}

// workerUnwinds reports whether a panic is in flight on the stack of the worker that has control of
// s. It also returns true if that stack is not found.
func (s *Scheduler) workerUnwinds() bool {
	text := s.hog()
	return len(text) == 0 || bytes.Contains(text, []byte("\truntime.gopanic+")) || bytes.Contains(text, []byte("\npanic("))
}
