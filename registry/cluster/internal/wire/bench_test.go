package wire_test

import (
	"testing"

	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// pair returns two links with their default limits.
func pair() (a, b *wire.Link) {
	x, y := [16]byte{1}, [16]byte{2}
	a = wire.NewLink(wire.Config{Out: wire.SessionOf(x, y), In: wire.SessionOf(y, x)})
	b = wire.NewLink(wire.Config{Out: wire.SessionOf(y, x), In: wire.SessionOf(x, y)})
	return a, b
}

// taker takes everything, as long as it is open.
type taker struct {
	messages, entries int
	full              map[uint64]bool
}

func (k *taker) Entry(wire.Entry) { k.entries++ }

func (k *taker) Message(e wire.Entry) bool {
	if k.full[e.Target] {
		return false
	}
	k.messages++
	return true
}

// carry carries all frames both ways, until there are none.
func carry(tb testing.TB, a, b *wire.Link, forA, forB wire.Handler) (frames int) {
	for moved := true; moved; {
		moved = false
		for _, d := range [...]struct {
			from, to *wire.Link
			h        wire.Handler
		}{{a, b, forB}, {b, a, forA}} {
			for {
				f, ok := d.from.Outgoing()
				if !ok {
					break
				}
				moved = true
				frames++
				if err := d.to.Accept(f); err != nil { // it is delivered before the next call
					tb.Fatal(err)
				}
				if _, err := d.to.Deliver(0, d.h); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
	return frames
}

// stream returns a function that sends n messages to targets in turn and carries them.
func stream(tb testing.TB, targets, size int) (send func(n int), got *taker) {
	a, b := pair()
	got = &taker{}
	none := &taker{}
	var open []*wire.Target
	for range targets {
		t, err := a.Open([]byte("mailbox"))
		if err != nil {
			tb.Fatal(err)
		}
		open = append(open, t)
	}
	payload := make([]byte, size)
	next := 0
	send = func(n int) {
		for range n {
			t := open[next%targets]
			next++
			for a.Send(t, wire.KindMessage, payload) != nil {
				a.Flush()
				carry(tb, a, b, none, got)
				a.Ready()
			}
		}
		a.Flush()
		carry(tb, a, b, none, got)
	}
	for range 100 {
		send(200 * targets) // windows grow
	}
	return send, got
}

func benchmarkStream(b *testing.B, targets, batch int) {
	send, got := stream(b, targets, 128)
	before := got.messages
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		send(batch)
	}
	b.StopTimer()
	if got.messages-before < b.N {
		b.Fatalf("%d of %d messages", got.messages-before, b.N)
	}
}

// One operation is one message of 128 bytes: appended, cut into frames, accepted and delivered,
// with the acknowledgements and credits that go back.
func BenchmarkMessage(b *testing.B)           { benchmarkStream(b, 1, 200) }
func BenchmarkMessage100Targets(b *testing.B) { benchmarkStream(b, 100, 200) }
func BenchmarkMessageOneAFrame(b *testing.B)  { benchmarkStream(b, 1, 1) }
