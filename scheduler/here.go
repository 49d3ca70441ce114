package scheduler

import (
	"math/bits"
	"runtime"
	"strings"
	"sync"
)

// Some calls have no context that says who makes them: Read of a net.Conn is one. Here finds out, and is right on whatever goroutine it
// is called.
//
// Go gives goroutines no names that a program may ask for, but runtime.Callers shows which functions are on the stack. Below each task
// is the call of its Run, and below that are calls that spell the number of the scheduler in binary, one frame for each digit but
// the first. Numbers are given anew when a scheduler ends: in a program with one scheduler that has the number 1, and no further frame.
// Whoever has these frames below it runs on that scheduler, and what runs there has control. Rejected: a goroutine's id, which is not
// to be had but from the text of runtime.Stack; a look at Scheduler.current, which is a data race from elsewhere, and right by chance.

// Here is the running task of s if the caller runs on s; nil for any other caller, and for injected work and timers. inside says
// whether the caller is a task of any scheduler at all: false for an ordinary goroutine, and for one that a task has started with
// go or iter.Pull. From any goroutine.
//
// It looks through the caller's stack down to the task's Run: less than 0.1 us for each call on it (measured). [Scheduler.Checkpoint] does
// without as a rule.
func (s *Scheduler) Here() (t *Task, inside bool) {
	n := s.spelled()
	if n == 0 || n != s.number.Load() {
		return nil, n != 0
	}
	return s.current, true
}

// Checkpoint raises a kill that is pending for the running task, if the caller is that task; see [Task.Checkpoint]. From any
// goroutine. As long as nobody was killed it costs one atomic load.
func (s *Scheduler) Checkpoint() {
	if !s.alarm.Load() {
		return
	}
	t, _ := s.Here()
	if t == nil {
		return
	}
	s.alarm.Store(false)
	if t.kill.Load() != 0 { // after the store: a kill that comes now sets the alarm again
		s.alarm.Store(true)
		t.Checkpoint()
	}
}

// spelled is the number of the scheduler whose task the caller is, 0 if it is none. To look no further down than need be it tries
// the depth that was right last time first.
func (s *Scheduler) spelled() uint32 {
	var buf [64]uintptr
	guess := int(s.depth.Load())
	pcs := buf[:]
	if guess > 0 {
		pcs = buf[:guess]
	}
	for {
		found := runtime.Callers(3, pcs)
		n, depth := marks().read(pcs[:found])
		if n == 0 && found == len(pcs) {
			if len(pcs) < len(buf) {
				pcs = buf[:]
			} else {
				pcs = make([]uintptr, 2*len(pcs))
			}
			continue
		}
		if n != 0 && depth != guess && depth <= len(buf) {
			s.depth.Store(int32(depth))
		}
		return n
	}
}

// frames are the return addresses by which frames are known: each stands for one call in one place. alone is that of Run by call,
// when the number is 1; below other digits it is made by last, and call calls spell.
type frames struct{ alone, last, zero, one, spelt uintptr }

// read gives the number that the frames of a stack spell, and how many of them that needed; all of them if it is not complete.
func (f *frames) read(pcs []uintptr) (n uint32, depth int) {
	for i, pc := range pcs {
		switch {
		case pc == f.alone:
			return 1, i + 1
		case pc == f.last:
			n = 1
		case pc == f.zero:
			n <<= 1
		case pc == f.one:
			n = n<<1 | 1
		case pc == f.spelt:
			return n, i + 1
		}
	}
	return 0, len(pcs)
}

// spell calls t's Run below frames that spell n, its first digit next to Run.
func (t *Task) spell(n uint32) {
	switch {
	case n <= 1:
		t.last()
	case n&1 == 0:
		t.zero(n >> 1)
	default:
		t.one(n >> 1)
	}
}

//go:noinline
func (t *Task) last() { t.runner.Run(t) }

//go:noinline
func (t *Task) zero(n uint32) { t.spell(n) }

//go:noinline
func (t *Task) one(n uint32) { t.spell(n) }

var marks = sync.OnceValue(findMarks)

// findMarks finds the frames, by looking at some.
func findMarks() *frames {
	var f frames
	s := &Scheduler{}
	look := func(n uint32, want map[string]*uintptr) {
		s.number.Store(n)
		s.call(&Task{s: s, runner: onlooker(func() {
			var pcs [32]uintptr
			for _, pc := range pcs[:runtime.Callers(1, pcs[:])] {
				frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
				if p := want[frame.Function[strings.LastIndexByte(frame.Function, '.')+1:]]; p != nil && *p == 0 {
					*p = pc // the innermost: a task may be the one that looks
				}
			}
		})})
	}
	look(1, map[string]*uintptr{"call": &f.alone})
	look(0b101, map[string]*uintptr{"call": &f.spelt, "last": &f.last, "zero": &f.zero, "one": &f.one})
	for _, pc := range []uintptr{f.alone, f.last, f.zero, f.one, f.spelt} {
		if pc == 0 {
			bug("the frames of a task are not found on the stack")
		}
	}
	return &f
}

// onlooker is a Runner.
type onlooker func()

func (p onlooker) Run(*Task) { p() }

// numbers are those of the schedulers that run. Each has the lowest that was free, so they have few digits.
var numbers struct {
	mu    sync.Mutex
	taken []uint64 // a bit for each; mu protects it. Bit i is number i+1
}

func takeNumber() uint32 {
	numbers.mu.Lock()
	defer numbers.mu.Unlock()
	for i, w := range numbers.taken {
		if w != ^uint64(0) {
			free := bits.TrailingZeros64(^w)
			numbers.taken[i] |= 1 << free
			return uint32(i*64 + free + 1)
		}
	}
	numbers.taken = append(numbers.taken, 1)
	return uint32(len(numbers.taken)*64 - 63)
}

// giveBack frees a number. Coroutines that are left behind still spell it, but nothing runs on them any more.
func giveBack(n uint32) {
	numbers.mu.Lock()
	defer numbers.mu.Unlock()
	numbers.taken[(n-1)/64] &^= 1 << ((n - 1) % 64)
}
