package core

import (
	"math/bits"
	"runtime"
	"strings"
	"sync"

	"github.com/gotasklet/tasklet/internal/guard"
)

// Some calls have no context that identifies the caller, such as Read of a net.Conn. Here finds the
// caller, and its answer is right on every goroutine.
//
// Go gives goroutines no names that a program may ask for, but runtime.Callers shows the functions
// on the stack. Below each task is the call by the scheduler's loop. Between the two are calls that
// spell the scheduler's number in binary, one for each digit but the first. When a scheduler ends,
// its number can be used again. So in a program with one scheduler the number is 1, which needs no
// further frame. A goroutine that has these frames on its stack runs on that scheduler, and what
// runs there has control.
//
// Rejected: a goroutine's id, which is available only from the text of runtime.Stack or by
// assembly. Rejected: reading Scheduler.current, which is a data race on another goroutine, and
// right only by chance.

// Here returns the running task of s if the caller runs on s. It returns nil for any other caller,
// and for injected work and timers. inside says whether the caller is a task of any scheduler. It
// is false for an ordinary goroutine, and for one that a task has started with go or iter.Pull.
// Here may be called from any goroutine.
//
// It searches the caller's stack down to the task's Run, which takes less than 0.1 us for each call
// on the stack (measured). [Scheduler.Checkpoint] usually does without that.
func (s *Scheduler) Here() (t *Task, inside bool) {
	n := s.spelled()
	if n == 0 || n != s.number.Load() {
		return nil, n != 0
	}
	return s.current, true
}

// Checkpoint raises a kill that is pending for the running task, if the caller is that task; see
// [Task.Checkpoint]. It may be called from any goroutine. As long as no task was killed it costs
// one atomic load.
func (s *Scheduler) Checkpoint() {
	if !s.alarm.Load() {
		return
	}
	t, _ := s.Here()
	if t == nil {
		return
	}
	s.alarm.Store(false)
	if t.kill.Load() != 0 { // after the store: a later kill sets the alarm again
		s.alarm.Store(true)
		t.Checkpoint()
	}
}

func init() { guard.Scheduler = spelledAnywhere }

// spelledAnywhere returns the number of the scheduler whose task the caller is, or 0 if it is no
// task.
func spelledAnywhere() uint32 {
	var buf [64]uintptr
	for pcs := buf[:]; ; pcs = make([]uintptr, 2*len(pcs)) {
		found := runtime.Callers(2, pcs)
		if n, _ := marks().read(pcs[:found]); n != 0 || found < len(pcs) {
			return n
		}
	}
}

// spelled returns the number of the scheduler whose task the caller is, or 0 if it is no task. To
// search not much further than necessary, it first tries the greatest depth that was right so far.
// Only a few calls are below those of a task, so that depth is at most a few too many, while one
// that is too small costs a second search.
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
		if n != 0 && depth > guess && depth <= len(buf) {
			s.depth.Store(int32(depth))
		}
		return n
	}
}

// frames are the return addresses by which frames are recognized. Each belongs to the only call
// that a function makes of a function that is never inlined, so that it is the same in every build:
// loop calls call, and zero and one call spell.
type frames struct{ loop, zero, one uintptr }

// read returns the number that the frames of a stack spell, and how many frames that needed. It
// returns 0 if not all of them are there.
func (f *frames) read(pcs []uintptr) (n uint32, depth int) {
	n = 1
	for i, pc := range pcs {
		switch pc {
		case f.zero:
			n <<= 1
		case f.one:
			n = n<<1 | 1
		case f.loop:
			return n, i + 1
		}
	}
	return 0, len(pcs)
}

// spell calls t's Run below frames that spell n. The first digit, which has no frame, is next to
// Run.
//
//go:noinline
func (t *Task) spell(n uint32) {
	switch {
	case n <= 1:
		t.runner.Run(t)
	case n&1 == 0:
		t.zero(n >> 1)
	default:
		t.one(n >> 1)
	}
}

//go:noinline
func (t *Task) zero(n uint32) { t.spell(n) }

//go:noinline
func (t *Task) one(n uint32) { t.spell(n) }

var marks = sync.OnceValue(findMarks)

// findMarks determines the frames by examining some of them: those of a scheduler that runs for
// this purpose, on goroutines of its own.
func findMarks() *frames {
	var f frames
	want := map[string]*uintptr{"loop": &f.loop, "zero": &f.zero, "one": &f.one}
	over := make(chan struct{})
	go func() {
		defer close(over)
		s := New(Config{StallAfter: -1})
		t := &Task{}
		t.Init(s, 1, onlooker(func() {
			t.Finish()
			s.Stop()
			(&Task{runner: onlooker(func() {
				var pcs [64]uintptr
				for _, pc := range pcs[:runtime.Callers(1, pcs[:])] {
					frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
					if p := want[frame.Function[strings.LastIndexByte(frame.Function, '.')+1:]]; p != nil && *p == 0 {
						*p = pc
					}
				}
			})}).spell(0b101)
		}))
		t.Wake()
		_ = s.Run()
	}()
	<-over
	if f.loop == 0 || f.zero == 0 || f.one == 0 {
		bug("the frames of a task are not found on the stack")
	}
	return &f
}

// onlooker is a Runner that calls a function.
type onlooker func()

func (p onlooker) Run(*Task) { p() }

// numbers has the numbers of the running schedulers. Each scheduler gets the lowest free number, so
// numbers have few digits.
var numbers struct {
	mu    sync.Mutex
	taken []uint64 // a bit for each number, bit i for number i+1; mu protects it
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

// giveBack frees a number. Coroutines that are left behind still spell it, but nothing runs on
// them.
func giveBack(n uint32) {
	numbers.mu.Lock()
	defer numbers.mu.Unlock()
	numbers.taken[(n-1)/64] &^= 1 << ((n - 1) % 64)
}
