package wire_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// A duplex is two links over a channel that loses nothing.
type duplex struct {
	t    *testing.T
	a, b *wire.Link
	got  taker
	back taker

	carries int
}

func newDuplex(t *testing.T) *duplex {
	d := &duplex{t: t}
	d.a, d.b = pair()
	d.got.full = map[uint64]bool{}
	return d
}

func (d *duplex) carry() int {
	d.carries++
	d.a.Flush()
	n := carry(d.t, d.a, d.b, &d.back, &d.got)
	if d.carries < 100 || d.carries%100 == 0 { // it looks at everything
		require.NoError(d.t, d.a.Check())
		require.NoError(d.t, d.b.Check())
	}
	return n
}

func (d *duplex) open() *wire.Target {
	x, err := d.a.Open([]byte("mailbox"))
	require.NoError(d.t, err)
	d.carry()
	return x
}

// burst sends until there are no credits, and returns how many messages that were.
func (d *duplex) burst(x *wire.Target, size int) (n int) {
	for d.a.Send(x, wire.KindMessage, make([]byte, size)) == nil {
		n++
	}
	return n
}

func (d *duplex) inbox(x *wire.Target) *wire.Inbox {
	for _, in := range d.b.Inboxes() {
		if in.ID() == x.ID() {
			return in
		}
	}
	d.t.Fatal("no inbox")
	return nil
}

// A window begins at 32 and grows to 4,096 while the target keeps up; one that does not falls back.
func TestWindowGrowsAndShrinks(t *testing.T) {
	d := newDuplex(t)
	x := d.open()
	var bursts []int
	for range 12 {
		bursts = append(bursts, d.burst(x, 100))
		d.carry()
		r, ok := d.a.Ready()
		require.True(t, ok)
		require.Equal(t, x, r)
	}
	assert.Equal(t, []int{32, 64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096, 4096, 4096}, bursts)

	d.got.full[x.ID()] = true
	assert.Equal(t, 4096, d.burst(x, 100))
	d.carry()
	in := d.inbox(x)
	assert.Equal(t, 4096, in.Queued(), "the side queue is as long as the window")
	_, ok := d.a.Ready()
	assert.False(t, ok)
	assert.Less(t, in.Window(), 4096)
	d.got.full[x.ID()] = false
	for range 6 { // it is full as often as it is not
		d.b.Retry(in, 0, &d.got)
		d.carry()
		d.got.full[x.ID()] = true
		d.burst(x, 100)
		d.carry()
		d.got.full[x.ID()] = false
	}
	assert.Equal(t, 32, in.Window())
	d.b.Retry(in, 0, &d.got)
	d.carry()
	assert.Equal(t, 32, d.burst(x, 100))
}

// A full mailbox holds up nobody else, and the memory of a link is bounded however many are full.
func TestFullMailboxHoldsUpNobodyElse(t *testing.T) {
	d := newDuplex(t)
	full := d.open()
	d.got.full[full.ID()] = true
	d.burst(full, 100)
	d.carry()
	other := d.open()
	sent := 0
	for sent < 20000 {
		sent += d.burst(other, 100)
		d.carry()
		d.a.Ready()
	}
	assert.Equal(t, sent, d.got.messages)
	assert.Equal(t, 32, d.inbox(full).Queued())

	// 5,000 full mailboxes of which each has got all that it may.
	var all []*wire.Target
	for range 5000 {
		x := d.open()
		d.got.full[x.ID()] = true
		all = append(all, x)
	}
	for _, x := range all {
		d.burst(x, 256)
		d.carry()
	}
	s := d.b.Stats()
	assert.LessOrEqual(t, s.Reserved, 65536)
	assert.LessOrEqual(t, s.Queued, 2*65536)
	assert.LessOrEqual(t, s.Reserved, 65536)
	before := d.got.messages
	sent = 0
	for sent < 2000 { // the other one goes on
		sent += d.burst(other, 100)
		d.carry()
		d.a.Ready()
	}
	assert.Equal(t, sent, d.got.messages-before)

	// A target that is closed with a full mailbox counts until that is empty.
	for _, x := range all {
		d.a.Close(x)
	}
	d.carry()
	assert.Equal(t, 5002, d.a.Stats().Targets)
	lost := 0
	for _, in := range d.b.Inboxes() {
		if in.ID() != full.ID() {
			d.b.Drop(in, func(wire.Entry) { lost++ })
		}
	}
	assert.Equal(t, s.Queued-32, lost)
	d.b.Tick()
	d.carry()
	assert.Equal(t, 2, d.a.Stats().Targets)
	assert.Equal(t, 2, d.b.Stats().Inboxes)
}

// A message may be larger than the window of its target, on trust.
func TestLargeMessages(t *testing.T) {
	d := newDuplex(t)
	x := d.open()
	assert.Equal(t, 1, d.burst(x, 200<<10))
	d.carry()
	for range 10 {
		d.a.Ready()
		n := d.burst(x, 200<<10)
		assert.GreaterOrEqual(t, n, 1)
		d.carry()
	}
	// All targets together may owe 16 MiB.
	total := 0
	for range 200 {
		y := d.open()
		d.got.full[y.ID()] = true
		total += d.burst(y, 200<<10)
		d.carry()
	}
	assert.Equal(t, 85, total) // 16 MiB by 200 KiB, each of which has 31 credits of its own
	_, ok := d.a.Ready()
	for ok { // x itself may be
		_, ok = d.a.Ready()
	}
	for _, in := range d.b.Inboxes()[:20] {
		d.b.Drop(in, func(wire.Entry) {})
	}
	d.b.Tick()
	d.carry()
	_, ok = d.a.Ready()
	assert.True(t, ok, "a target that waited for trust is told")
}

// Targets that are not used give their credits back, so that others get them; the first message
// after that needs no question.
func TestIdleTargetsGiveCreditsBack(t *testing.T) {
	d := newDuplex(t)
	var all []*wire.Target
	for range 3000 {
		all = append(all, d.open())
	}
	assert.Equal(t, 65536, d.b.Stats().Reserved, "31 for each are more than there are")
	for range 200 {
		d.a.Tick()
		d.b.Tick()
		d.carry()
	}
	assert.Zero(t, d.b.Stats().Reserved)
	assert.True(t, d.a.Idle())
	assert.True(t, d.b.Idle())
	assert.Zero(t, all[7].Credits())
	assert.Equal(t, 1, d.burst(all[7], 100))
	d.carry()
	assert.Equal(t, 1, d.got.messages)
	d.a.Ready()
	assert.Equal(t, 32, d.burst(all[7], 100))
}

// Acknowledgements and credits go alone only after 8 frames, a quarter of a window, or a tick.
func TestWhatGoesAlone(t *testing.T) {
	d := newDuplex(t)
	x := d.open()
	d.b.Tick()
	d.carry()
	alone := d.b.Stats().Alone
	for range 7 {
		require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
		d.carry()
	}
	assert.Equal(t, alone, d.b.Stats().Alone)
	assert.Equal(t, 7, d.a.Stats().Unacked)
	require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
	d.carry()
	assert.Equal(t, alone+1, d.b.Stats().Alone, "8 frames, and 8 of 32 credits")
	assert.Zero(t, d.a.Stats().Unacked)

	require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
	d.carry()
	assert.Equal(t, 1, d.a.Stats().Unacked)
	require.NoError(t, d.b.Append(wire.KindAnswer, 1, nil))
	d.b.Flush()
	d.carry()
	assert.Zero(t, d.a.Stats().Unacked, "it rode on an answer")
	assert.Equal(t, alone+1, d.b.Stats().Alone)

	for range 9 {
		require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
	}
	d.carry()
	assert.Equal(t, alone+2, d.b.Stats().Alone, "a quarter of a window in one frame")
	require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
	d.carry()
	d.b.Tick()
	d.carry()
	assert.Equal(t, alone+3, d.b.Stats().Alone, "a tick")
	d.b.Tick()
	d.carry()
	assert.Equal(t, alone+3, d.b.Stats().Alone, "a tick with nothing to say")
}

// Only what is missing is sent again.
func TestOnlyTheGapIsSentAgain(t *testing.T) {
	d := newDuplex(t)
	x := d.open()
	for i := range 10 {
		require.NoError(t, d.a.Send(x, wire.KindMessage, []byte{byte(i)}))
		d.a.Flush()
		f, ok := d.a.Outgoing()
		require.True(t, ok)
		if i != 3 && i != 4 && i != 7 {
			require.NoError(t, d.b.Accept(append([]byte{}, f...)))
		}
	}
	d.carry()
	assert.Equal(t, 10, d.got.messages)
	assert.Equal(t, uint64(3), d.a.Stats().Again)
	assert.Zero(t, d.b.Stats().Duplicates)

	// A lost last frame is noticed on the second tick after.
	require.NoError(t, d.a.Send(x, wire.KindMessage, nil))
	d.a.Flush()
	_, _ = d.a.Outgoing()
	for range 2 {
		d.a.Tick()
		d.carry()
	}
	assert.Equal(t, 11, d.got.messages)
	assert.Equal(t, uint64(4), d.a.Stats().Again)
}

// The hot paths allocate nothing, with mailboxes that keep up and with mailboxes that are full.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, targets := range []int{1, 50} {
		send, got := stream(t, targets, 128)
		before := got.messages
		if n := testing.AllocsPerRun(20, func() { send(2000) }); n > 0 {
			t.Errorf("%d targets: %v allocations for 2,000 messages", targets, n)
		}
		assert.Equal(t, 21*2000, got.messages-before)
	}
	a, b := pair()
	k := &taker{full: map[uint64]bool{1: true}}
	none := &taker{}
	x, err := a.Open(nil)
	require.NoError(t, err)
	round := func() {
		for a.Send(x, wire.KindMessage, make([]byte, 128)) == nil {
		}
		a.Flush()
		carry(t, a, b, none, k)
		k.full[1] = false
		b.Retry(b.Inboxes()[0], 0, k)
		k.full[1] = true
		carry(t, a, b, none, k)
		a.Ready()
	}
	for range 20 {
		round()
	}
	before := k.messages
	if n := testing.AllocsPerRun(20, round); n > 2 { // those of Inboxes
		t.Errorf("full mailbox: %v allocations a round", n)
	}
	assert.Equal(t, 21*32, k.messages-before)
}
