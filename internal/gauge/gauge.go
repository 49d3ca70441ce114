// Package gauge has the counters that package actor keeps and that package actor/stats shows. Each
// is written by one goroutine, without synchronization, and may be read by any other with
// core.Peek. A system is an *actor.System and a tasklet an *actor.Tasklet, which this package
// cannot name because package actor imports it.
package gauge

import (
	"math"
	"math/bits"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// Buckets is the number of buckets of a Histogram. There are two for each power of two between
// 64 ns and 18 minutes, one below and one above.
const Buckets = 70

// lowest is the exponent of the upper limit of the first bucket.
const lowest = 6

// Histogram counts times in buckets of a growing width. The zero Histogram is empty.
type Histogram struct {
	Counts [Buckets]uint64
	Sum    int64 // ns
	Max    int64 // ns
}

// Bucket returns the index of the bucket for a time in ns.
func Bucket(ns int64) int {
	if ns < 1<<lowest {
		return 0
	}
	k := bits.Len64(uint64(ns)) - 1
	half := int(ns>>(k-1)) & 1
	return min(1+2*(k-lowest)+half, Buckets-1)
}

// Limit returns the upper limit of the i-th bucket in ns, which is not in the bucket itself. That
// of the last bucket is math.MaxInt64.
func Limit(i int) int64 {
	switch k := lowest + (i-1)/2; {
	case i == 0:
		return 1 << lowest
	case i >= Buckets-1:
		return math.MaxInt64
	case i%2 == 1:
		return 3 << (k - 1)
	default:
		return 1 << (k + 1)
	}
}

// Add counts a time n times. Only the owner may call it.
func (h *Histogram) Add(ns int64, n uint64) {
	ns = max(ns, 0)
	h.Counts[Bucket(ns)] += n
	h.Sum += int64(min(uint64(ns)*n, math.MaxInt64)) // n is small, and ns is less than a century
	h.Max = max(h.Max, ns)
}

// AddTo adds h to sum. It may be called while the owner of h adds to it.
func (h *Histogram) AddTo(sum *Histogram) {
	for i := range h.Counts {
		sum.Counts[i] += core.Peek(&h.Counts[i])
	}
	sum.Sum += core.Peek(&h.Sum)
	sum.Max = max(sum.Max, core.Peek(&h.Max))
}

// Sampler decides which of many equal things are measured, such as the calls of a function. To
// measure a call that takes 50 ns would cost as much again. So the calls are divided into blocks,
// one call at random of each is measured, and counts as often as its block has calls. The size of a
// block depends only on the calls before it, so the expected sums are right, whatever the calls do.
//
//   - Each call does Left--. When that makes it 0, the call is measured, and Next is called.
//   - Next is called before the next call.
type Sampler struct {
	// Left is the number of calls up to the next one that is measured, that one included.
	Left  uint32
	step  uint32 // Left as it was set
	block uint32 // the size of the block
	place uint32 // the place in the block of the call that is measured
	draw  uint32 // the state of the random generator
	most  uint32 // the largest size of a block, a power of two; 1 if all calls are measured
}

// worth is the time in ns that a call of the largest block must take, on average, so that to
// measure one of the block costs little in comparison.
const worth = 62.5

// Init makes s measure the first call. seed is any number. most is the largest size of a block, a
// power of two, or 1 to measure all calls.
func (s *Sampler) Init(seed, most uint32) {
	*s = Sampler{Left: 1, step: 1, block: 1, draw: seed*0x9e3779b9 | 1, most: most}
}

// Next chooses the next call that is measured. ns is the time of a call, as far as it is known.
// Next returns the number of calls since the last Next, and how often the measured call counts.
func (s *Sampler) Next(ns int64) (calls, weight uint64) {
	calls, weight = uint64(s.step), uint64(s.block)
	rest := s.block - 1 - s.place
	s.block, s.place = 1, 0
	if s.most > 1 {
		s.block = blockFor(ns, s.most)
		s.draw ^= s.draw << 13 // xorshift
		s.draw ^= s.draw >> 17
		s.draw ^= s.draw << 5
		s.place = s.draw >> 8 & (s.block - 1)
	}
	s.step = rest + s.place + 1
	s.Left = s.step
	return calls, weight
}

// blockFor returns the size of the block, at most most, after a call that took ns.
func blockFor(ns int64, most uint32) uint32 {
	n := most
	for n > 1 && float64(ns)*float64(n) >= 2*worth*float64(most) {
		n /= 2
	}
	return n
}

// Open returns the number of calls since the last Next. Only the owner may call it.
func (s *Sampler) Open() uint64 { return uint64(s.step - s.Left) }

// Step returns the number of calls from the last one that was measured to the next one. Only the
// owner may call it.
func (s *Sampler) Step() int64 { return int64(s.step) }

// maxBlock is the largest size of a block of calls of a handler.
const maxBlock = 64

// Meter measures some of the calls of a function, and keeps their times. A call is never measured
// while another one is.
type Meter struct {
	Sampler
	calls uint64 // the number of calls before Left was set
	times Histogram
}

// Init makes m measure the first call. seed is any number. exact makes it measure all calls.
func (m *Meter) Init(seed uint32, exact bool) {
	most := uint32(maxBlock)
	if exact {
		most = 1
	}
	m.Sampler.Init(seed, most)
}

// Done records that the call that was to be measured has taken ns. It returns the number of calls
// since the last Done, and how often the time counts.
func (m *Meter) Done(ns int64) (calls, weight uint64) {
	calls, weight = m.Next(ns)
	m.times.Add(ns, weight)
	m.calls += calls
	return calls, weight
}

// Sum returns the sum of the times. It may be called from any goroutine.
func (m *Meter) Sum() time.Duration { return time.Duration(core.Peek(&m.times.Sum)) }

// Read returns the number of calls that have begun, and adds the times to sum. It may be called
// from any goroutine.
func (m *Meter) Read(sum *Histogram) (calls uint64) {
	m.times.AddTo(sum)
	step, left := core.Peek(&m.step), core.Peek(&m.Left)
	if left > step { // they are of two moments
		left = step
	}
	return core.Peek(&m.calls) + uint64(step-left)
}

// Total has the sums of the calls and messages of all tasklets of one kind on one scheduler.
type Total struct {
	Calls uint64
	Times Histogram
	Waits Histogram // of messages in the mailbox
}

// Reasons are the reasons for which messages are lost.
const (
	LostDropped = iota // dropped by a full mailbox
	LostClosed         // not read before the mailbox was closed
	LostFull           // a message of a timer or a dead letter for which there was no room
	LostInHand         // in hand when the tasklet ended
	LostBetween        // on the way to another node
	Losses
)

// Numbers are the counters of a system.
type Numbers struct {
	Started    uint64
	Ended      [5]uint64      // by reason.Kind
	Lost       [Losses]uint64 // messages
	Events     [256]uint64    // by event.Kind
	Up         time.Duration  // since the start of the system
	Schedulers []Scheduler
	Kinds      map[string]*Total // nil if nothing is measured
}

// Scheduler are the counters of one scheduler.
type Scheduler struct {
	Tasklets int
	Ready    int
	Busy     time.Duration // -1 if it is not measured
}

// Set by package actor.
var (
	// MeterOf returns the meter of a tasklet, or nil if it has none.
	MeterOf func(tasklet any) *Meter
	// WaitsOf returns the times that messages were in the mailbox of a tasklet, or nil if it has
	// none.
	WaitsOf func(tasklet any) *Histogram
	// LeftOf returns at least the number of messages that have left the mailbox of a tasklet:
	// handled, dropped or taken back. It returns 0 if the tasklet has none.
	LeftOf func(tasklet any) uint64
	// Of returns the counters of a system.
	Of func(system any) Numbers
)
