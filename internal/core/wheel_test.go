package core

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gotasklet/tasklet/internal/list"
	"time"
	"unsafe"
)

// wheelTester runs a script of commands on a wheel and on the obvious version, a sorted slice, in
// lockstep: what fires must be the first of the slice. The script is a string of bytes, so that the
// property test and the fuzzer share it; read to its end it goes on with zeros, which mean "do
// nothing".
type wheelTester struct {
	t      testing.TB
	script []byte
	w      wheel
	timers [48]testerTimer
	model  []modelTimer // sorted by when; those of one tick in the order of their start
	fired  int
	log    []string // what was done, for the report of a failure
}

type testerTimer struct {
	Timer
	tester *wheelTester
	id     int
}

type modelTimer struct {
	when int64
	id   int
}

func runWheelScript(t testing.TB, script []byte) *wheelTester {
	x := &wheelTester{t: t, script: script}
	for i := range x.timers {
		x.timers[i].tester, x.timers[i].id = x, i
		x.timers[i].V.target = &x.timers[i]
	}
	for len(x.script) > 0 {
		if x.draw()%4 == 0 {
			x.advance()
		} else {
			x.startOrStop()
		}
		x.check()
	}
	// Everything within reach of a clock in nanoseconds fires; what is left after that is removed
	// by hand.
	x.advanceTo(max(x.w.now, math.MaxInt64/int64(time.Millisecond)))
	for i := range x.timers {
		x.stop(i)
	}
	x.check()
	if x.w.n != 0 || len(x.model) != 0 {
		x.failf("%d timers left, want %d and none", x.w.n, len(x.model))
	}
	return x
}

func (x *wheelTester) draw() int {
	if len(x.script) == 0 {
		return 0
	}
	b := x.script[0]
	x.script = x.script[1:]
	return int(b)
}

// drawSpan returns a number of ticks, as often of one size as of another.
func (x *wheelTester) drawSpan(maxBits int) int64 {
	var b [8]byte
	size := x.draw() % (maxBits + 1)
	for i := range (size + 7) / 8 {
		b[i] = byte(x.draw())
	}
	return int64(binary.LittleEndian.Uint64(b[:]) & (1<<size - 1))
}

// drawTick returns a tick for a timer, often one that may go wrong.
func (x *wheelTester) drawTick() int64 {
	now := x.w.now
	switch x.draw() % 8 {
	case 0: // not in the future
		return now - x.drawSpan(10)
	case 1: // around the first tick of a slot
		shift := min(x.draw()%11*wheelSlotBits, 62)
		return now>>shift<<shift + int64(x.draw()%4)<<shift + int64(x.draw()%3) - 1
	case 2, 3, 4: // the tick of another timer, or the one after it
		if len(x.model) > 0 {
			when := x.model[x.draw()%len(x.model)].when
			if x.draw()%8 == 0 {
				when = later(when, 1)
			}
			return when
		}
	case 5:
		if x.draw()%4 == 0 {
			return math.MaxInt64 - int64(x.draw()%2)
		}
		return later(now, x.drawSpan(62))
	}
	return later(now, x.drawSpan(24))
}

// later returns when+ticks, or the last tick if that is beyond it.
func later(when, ticks int64) int64 { return when + min(ticks, math.MaxInt64-when) }

func (x *wheelTester) startOrStop() {
	id := x.draw() % len(x.timers)
	if !x.timers[id].Active() {
		x.start(id, x.drawTick())
		return
	}
	x.stop(id)
	if x.draw()%2 == 0 {
		x.start(id, x.drawTick())
	}
}

func (x *wheelTester) start(id int, when int64) {
	x.logf("start %d for %d", id, when)
	x.w.start(&x.timers[id].Timer, when)
	when = max(when, x.w.now+1)
	i, _ := slices.BinarySearchFunc(x.model, when, func(m modelTimer, when int64) int {
		if m.when <= when {
			return -1
		}
		return 1
	})
	x.model = slices.Insert(x.model, i, modelTimer{when, id})
}

func (x *wheelTester) stop(id int) {
	x.logf("stop %d", id)
	i := slices.IndexFunc(x.model, func(m modelTimer) bool { return m.id == id })
	if x.timers[id].Active() != (i >= 0) {
		x.failf("timer %d: Active() = %t, want %t", id, i < 0, i >= 0)
	}
	if got := x.w.stop(&x.timers[id].Timer); got != (i >= 0) {
		x.failf("stop of timer %d = %t, want %t", id, got, i >= 0)
	}
	if i >= 0 {
		x.model = slices.Delete(x.model, i, i+1)
	}
}

func (x *wheelTester) advance() {
	now := x.w.now
	switch x.draw() % 6 {
	case 0:
		x.advanceTo(x.w.next())
	case 1:
		x.advanceTo(x.w.deadline())
	case 2: // stop short of the next event, or go just beyond it
		x.advanceTo(x.w.next() + int64(x.draw()%5) - 2)
	case 3:
		x.advanceTo(later(now, x.drawSpan(12)))
	case 4:
		x.advanceTo(later(now, x.drawSpan(24)))
	case 5:
		x.advanceTo(later(now, x.drawSpan(44)))
	}
}

func (x *wheelTester) advanceTo(to int64) {
	x.logf("advance to %d", to)
	want := min(max(x.w.now, to), math.MaxInt64-1)
	x.w.advance(to)
	if x.w.now != want {
		x.failf("now is %d, want %d", x.w.now, want)
	}
	if len(x.model) > 0 && x.model[0].when <= x.w.now {
		x.failf("timer %d for tick %d has not fired", x.model[0].id, x.model[0].when)
	}
}

func (tt *testerTimer) Expire() {
	x := tt.tester
	x.fired++
	x.logf("timer %d fires", tt.id)
	if tt.Active() {
		x.failf("timer %d is active while it fires", tt.id)
	}
	if got := (modelTimer{x.w.now, tt.id}); len(x.model) == 0 || x.model[0] != got {
		x.failf("fired %+v, want the first of %+v", got, x.model)
	}
	x.model = slices.Delete(x.model, 0, 1)
	for range x.draw() % 4 {
		x.startOrStop()
	}
	if len(x.model) > 0 && x.draw()%4 == 0 {
		x.stop(x.model[0].id) // likely one that is due in this very tick
	}
	x.check()
}

// check holds the wheel against its invariant and the model.
func (x *wheelTester) check() {
	w, n := &x.w, 0
	count := func(list *list.List[timing], level, slot uint) {
		if !list.Sound() {
			x.failf("level %d slot %d: broken links, a broken end or a loop", level, slot)
		}
		for t := range list.All() {
			n++
			if t.when < w.now {
				x.failf("a timer for tick %d is left behind", t.when)
			}
			if l, s := w.place(t.when); min(l, wheelLevels) != level || l < wheelLevels && s != slot {
				x.failf("a timer for tick %d is at level %d slot %d, want %d and %d", t.when, level, slot, l, s)
			}
		}
	}
	for level := range w.slots {
		for slot := range w.slots[level] {
			list := &w.slots[level][slot]
			count(list, uint(level), uint(slot))
			if got, want := w.occupied[level]>>slot&1 == 1, !list.Empty(); got != want {
				x.failf("level %d slot %d: occupied is %t, want %t", level, slot, got, want)
			}
		}
	}
	count(&w.far, wheelLevels, 0)
	if n != w.n || n != len(x.model) {
		x.failf("%d timers found, %d counted, want %d", n, w.n, len(x.model))
	}
	want := int64(-1)
	if len(x.model) > 0 {
		want = x.model[0].when
	}
	if got := w.deadline(); got != want {
		x.failf("deadline() = %d, want %d", got, want)
	}
	if got := w.next(); got > want || (got < 0) != (want < 0) || got < w.now && got >= 0 || got == w.now && want != got {
		x.failf("next() = %d with now %d and the first timer at %d", got, w.now, want)
	}
}

func (x *wheelTester) logf(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *wheelTester) failf(format string, args ...any) {
	x.t.Helper()
	for _, line := range x.log[max(0, len(x.log)-20):] {
		x.t.Log(line)
	}
	x.t.Fatalf("now %d: "+format, append([]any{x.w.now}, args...)...)
}

func TestWheelAgainstSortedSlice(t *testing.T) {
	scripts := 1500
	if testing.Short() {
		scripts = 300
	}
	fired := 0
	for seed := range uint64(scripts) {
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], seed)
		script := make([]byte, 600)
		rand.NewChaCha8(key).Read(script)
		fired += runWheelScript(t, script).fired
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if fired < 20*scripts {
		t.Errorf("%d timers fired in %d scripts: the scripts test little", fired, scripts)
	}
}

func FuzzWheel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("one short script, in which the letters mean something else"))
	for seed := range byte(4) {
		script := make([]byte, 400)
		rand.NewChaCha8([32]byte{seed}).Read(script)
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		runWheelScript(t, script[:min(len(script), 4096)])
	})
}

// A recorder's timers write down their names when they fire.
type recorder struct {
	w     wheel
	fired []string
}

type recorderTimer struct {
	Timer
	r    *recorder
	name string
	then func()
}

func (r *recorder) timer(name string, then func()) *Timer {
	t := &recorderTimer{r: r, name: name, then: then}
	t.V.target = t
	return &t.Timer
}

func (t *recorderTimer) Expire() {
	t.r.fired = append(t.r.fired, fmt.Sprintf("%s@%d", t.name, t.r.w.now))
	if t.then != nil {
		t.then()
	}
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.fired, want) {
		t.Errorf("fired %v, want %v", r.fired, want)
	}
}

// Timers of one tick, each started when the tick was at another level of the wheel, the first ones
// when it was beyond it.
func TestWheelOrderWithinTick(t *testing.T) {
	// A tick whose digits are all 1, so that each cascade moves down one level.
	var due int64
	for level := range wheelLevels + 1 {
		due |= 1 << (level * wheelSlotBits)
	}
	var r recorder
	var want []string
	start := func() {
		for range 3 {
			name := fmt.Sprintf("%d", len(want))
			r.w.start(r.timer(name, nil), due)
			want = append(want, fmt.Sprintf("%s@%d", name, due))
		}
	}
	start()
	for level := wheelLevels; level >= 0; level-- {
		shift := level * wheelSlotBits
		for _, now := range []int64{due>>shift<<shift - 1, due >> shift << shift} {
			if now < due {
				r.w.advance(now)
				start()
			}
		}
	}
	r.w.advance(due)
	r.expect(t, want...)
}

func TestWheelFarFuture(t *testing.T) {
	const reach = 1 << wheelBits
	var r recorder
	r.w.start(r.timer("never", nil), math.MaxInt64)
	r.w.start(r.timer("last", nil), math.MaxInt64-1)
	r.w.start(r.timer("b", nil), 5*reach+7)
	r.w.start(r.timer("c", nil), 5*reach+7)
	r.w.start(r.timer("a", nil), 3*reach)
	gone := r.timer("gone", nil)
	r.w.start(gone, 2*reach)
	r.w.stop(gone)
	if got, want := r.w.deadline(), int64(3*reach); got != want {
		t.Errorf("deadline() = %d, want %d", got, want)
	}
	r.w.advance(5*reach + 6)
	r.expect(t, fmt.Sprintf("a@%d", int64(3*reach)))
	r.w.advance(math.MaxInt64) // through two million reaches, all empty
	r.expect(t,
		fmt.Sprintf("a@%d", int64(3*reach)), fmt.Sprintf("b@%d", int64(5*reach+7)), fmt.Sprintf("c@%d", int64(5*reach+7)),
		fmt.Sprintf("last@%d", int64(math.MaxInt64-1)))

	// At the end of time a start may not wrap around.
	r.w.start(r.timer("late", nil), 0)
	r.w.advance(math.MaxInt64)
	if r.w.n != 2 || r.w.deadline() != math.MaxInt64 {
		t.Errorf("%d timers with deadline %d, want 2 that never fire", r.w.n, r.w.deadline())
	}
}

func TestWheelStartNotInTheFuture(t *testing.T) {
	var r recorder
	r.w.advance(100)
	r.w.start(r.timer("now", nil), 100)
	r.w.start(r.timer("past", nil), 7)
	r.w.start(r.timer("negative", nil), math.MinInt64)
	r.w.advance(100)
	r.w.advance(50)
	r.expect(t)
	r.w.advance(101)
	r.expect(t, "now@101", "past@101", "negative@101")
}

func TestWheelExpireStartsAndStops(t *testing.T) {
	var r recorder
	var again, victim, other *Timer
	rounds := 0
	again = r.timer("again", func() {
		if rounds++; rounds < 3 {
			r.w.start(again, 0) // at once means at the next tick, or advance would never end
		}
	})
	victim = r.timer("victim", nil)
	other = r.timer("other", nil)
	killer := r.timer("killer", func() {
		if !r.w.stop(victim) {
			t.Error("the victim was not active")
		}
		r.w.stop(other)
		r.w.start(other, 10) // was due in this tick, is now due in the next
	})
	for _, timer := range []*Timer{killer, victim, other, again} {
		r.w.start(timer, 10)
	}
	r.w.advance(20)
	r.expect(t, "killer@10", "again@10", "other@11", "again@11", "again@12")
	if r.w.stop(victim) || r.w.n != 0 {
		t.Errorf("timers left: %d", r.w.n)
	}
}

func TestWheelExpirePanics(t *testing.T) {
	var r recorder
	r.w.start(r.timer("a", func() { panic("a") }), 64)
	r.w.start(r.timer("b", nil), 64)
	r.w.start(r.timer("c", nil), 65)
	func() {
		defer func() { recover() }()
		r.w.advance(100)
	}()
	r.expect(t, "a@64")
	if r.w.next() != 64 || r.w.deadline() != 64 {
		t.Errorf("next() = %d, deadline() = %d, want 64", r.w.next(), r.w.deadline())
	}
	r.w.advance(100)
	r.expect(t, "a@64", "b@64", "c@65")
}

func TestTimerMisuse(t *testing.T) {
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("start of a timer %s does not panic", what)
			}
		}()
		f()
	}
	var r recorder
	timer := r.timer("a", nil)
	r.w.start(timer, 1)
	panics("that is active", func() { r.w.start(timer, 2) })
	panics("without a target", func() { r.w.start(new(Timer), 1) })
	if r.w.stop(new(Timer)) {
		t.Error("stop of a zero timer reports that it was active")
	}
	r.w.advance(2)
	r.expect(t, "a@1")
}

// Every task has a timer in it, and every scheduler a wheel.
func TestTimerSize(t *testing.T) {
	if size := unsafe.Sizeof(Timer{}); size > 40 {
		t.Errorf("a Timer has %d bytes, want at most 40", size)
	}
	if size := unsafe.Sizeof(wheel{}); size > 8192 {
		t.Errorf("a wheel has %d bytes, want at most 8192", size)
	}
}

type expireFunc func()

func (f expireFunc) Expire() { f() }

func TestWheelAllocatesNothing(t *testing.T) {
	var w wheel
	fired := 0
	timers := make([]Timer, 100)
	for i := range timers {
		timers[i].V.target = expireFunc(func() { fired++ })
	}
	const runs = 100
	allocs := testing.AllocsPerRun(runs, func() {
		for i := range timers {
			w.start(&timers[i], w.now+1<<(i%50))
			w.stop(&timers[i])
			w.start(&timers[i], w.now+1<<(i%50))
		}
		w.advance(w.deadline() + 1<<50)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
	if want := (runs + 1) * len(timers); fired != want {
		t.Errorf("%d timers fired, want %d", fired, want)
	}
}

// Among 1,000,000 timers spread over an hour, stop one and start it again: always the same (a
// time-out around a call), or any of them in turn (a time-out a connection), which pays for the
// memory that is not in the cache.
func BenchmarkTimerStopStart(b *testing.B) {
	const n, hour, timeout = 1_000_000, 3_600_000, 30_000
	spread := func(i int) int64 { // any tick of the hour, without a pattern
		hi, _ := bits.Mul64(uint64(i+1)*0x9e3779b97f4a7c15, hour)
		return 1 + int64(hi)
	}
	scatter := func(i int) int { return int(uint32(i) * 0x9e3779b1 >> 12 % n) }

	b.Run("wheel", func(b *testing.B) {
		var w wheel
		timers := make([]Timer, n)
		for i := range timers {
			timers[i].V.target = expireFunc(nil)
			w.start(&timers[i], spread(i))
		}
		b.Run("one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.stop(&timers[n/2])
				w.start(&timers[n/2], timeout)
			}
		})
		b.Run("any", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t := &timers[scatter(i)]
				w.stop(t)
				w.start(t, spread(i))
			}
		})
	})
	b.Run("AfterFunc", func(b *testing.B) {
		timers := make([]*time.Timer, n)
		for i := range timers {
			timers[i] = time.AfterFunc(time.Hour+time.Duration(spread(i))*time.Millisecond, func() {})
		}
		defer func() {
			for _, t := range timers {
				t.Stop()
			}
		}()
		b.Run("one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				timers[n/2].Stop()
				timers[n/2].Reset(timeout * time.Millisecond)
			}
		})
		b.Run("any", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t := timers[scatter(i)]
				t.Stop()
				t.Reset(time.Hour + time.Duration(spread(i))*time.Millisecond)
			}
		})
	})
}
