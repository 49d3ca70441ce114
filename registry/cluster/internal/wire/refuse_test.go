package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

var (
	here, there = [16]byte{1}, [16]byte{2}
	in, out     = wire.SessionOf(there, here), wire.SessionOf(here, there)
)

func config() wire.Config { return wire.Config{Out: out, In: in} }

// made makes a frame for a link with config().
func made(seq, ack uint64, entries, notes []byte) []byte {
	h := wire.Head{Version: 1, Session: in, Seq: seq, Ack: ack, Length: len(entries)}
	if len(entries) > 0 {
		h.Flags = 1
	}
	return wire.Frame(h, entries, notes)
}

func open(id uint64) []byte { return wire.AppendEntry(nil, wire.KindOpen, id, nil) }

func TestSessions(t *testing.T) {
	assert.NotEqual(t, wire.SessionOf(here, there), wire.SessionOf(there, here))
	assert.NotEqual(t, wire.SessionOf(here, there), wire.SessionOf([16]byte{3}, there))
	assert.Equal(t, uint64(0xe351f32bf7c347d2), wire.SessionOf([16]byte{1}, [16]byte{2}),
		"nodes of another build have to come to the same number")
}

// Every refusal has its error and says what was wrong, and nothing of the frame is used.
func TestRefusedFrames(t *testing.T) {
	good := wire.AppendEntry(open(1), wire.KindAnswer, 0, []byte("x"))
	frame := func(change func(h *wire.Head)) []byte {
		h := wire.Head{Version: 1, Flags: 1, Session: in, Seq: 1, Length: len(good)}
		change(&h)
		return wire.Frame(h, good, nil)
	}
	notes := func(b ...byte) []byte { return made(0, 0, nil, b) }
	long := binary.AppendUvarint([]byte{16, 0}, 300<<10)
	long = append(long, make([]byte, 300<<10)...)
	for _, c := range []struct {
		frame []byte
		err   error
		says  string
	}{
		{nil, wire.ErrFrame, "it is empty"},
		{[]byte{1, 0}, wire.ErrFrame, "2 bytes are no head"},
		{[]byte{2}, wire.ErrVersion, "2, not 1"},
		{frame(func(h *wire.Head) { h.Version = 0 }), wire.ErrVersion, "0, not 1"},
		{frame(func(h *wire.Head) { h.Session++ }), wire.ErrSession, "not"},
		{frame(func(h *wire.Head) { h.Session = out }), wire.ErrSession, "not"},
		{frame(func(h *wire.Head) { h.Flags = 4 }), wire.ErrFrame, "unknown flags 0x4"},
		{frame(func(h *wire.Head) { h.Flags = 0 }), wire.ErrFrame, "flags 0x0 with 7 bytes"},
		{frame(func(h *wire.Head) { h.Length = 0 }), wire.ErrFrame, "flags 0x1 with 0 bytes"},
		{frame(func(h *wire.Head) { h.Length = 1 << 20 }), wire.ErrFrame, "1048576 bytes of entries in a frame of 37"},
		{frame(func(h *wire.Head) { h.Length = -1 }), wire.ErrFrame, "4294967295 bytes of entries"},
		{frame(func(h *wire.Head) { h.Seq = 0 }), wire.ErrFrame, "number 0"},
		{frame(func(h *wire.Head) { h.Seq = 1 << 63 }), wire.ErrFrame, "number 9223372036854775808"},
		{frame(func(h *wire.Head) { h.Ack = 1 << 63 }), wire.ErrFrame, "acknowledged 9223372036854775808"},
		{frame(func(h *wire.Head) { h.Length-- }), wire.ErrFrame, "note at byte 0 of 1"},
		{made(1, 0, long, nil), wire.ErrFrame, "bytes of entries"},
		{made(1, 0, []byte{16}, nil), wire.ErrFrame, "entry at byte 0 of 1 is cut off"},
		{made(1, 0, []byte{16, 0x80}, nil), wire.ErrFrame, "cut off"},
		{made(1, 0, []byte{16, 0x80, 0, 0}, nil), wire.ErrFrame, "cut off"}, // longer than need be
		{made(1, 0, []byte{16, 1, 5, 'x'}, nil), wire.ErrFrame, "cut off"},
		{made(1, 0, append([]byte{16, 0}, bytes.Repeat([]byte{0xff}, 20)...), nil), wire.ErrFrame, "cut off"},
		{made(1, 0, []byte{0, 1, 0}, nil), wire.ErrFrame, "kind 0"},
		{made(1, 0, []byte{9, 1, 0}, nil), wire.ErrFrame, "kind 9"},
		{made(1, 0, []byte{0x82, 1, 0}, nil), wire.ErrFrame, "kind 130"},
		{made(1, 0, []byte{2, 0, 0}, nil), wire.ErrFrame, "kind 2 without a target"},
		{made(1, 0, []byte{0x90, 0, 0}, nil), wire.ErrFrame, "kind 144 without a target"},
		{notes(0), wire.ErrFrame, "note at byte 0 of 1"},
		{notes(9, 1, 1), wire.ErrFrame, "note at byte 0 of 3"},
		{notes(3, 1, 2, 1), wire.ErrFrame, "note at byte 2 of 4"},
		{notes(1, 0, 1), wire.ErrFrame, "1 frames from 0 on are missing"},
		{notes(1, 1, 0), wire.ErrFrame, "0 frames from 1 on are missing"},
		{notes(bytes.Repeat([]byte{1, 1, 1}, wire.GapsMax+1)...), wire.ErrFrame, "gap 17"},
		{notes(bytes.Repeat([]byte{3, 1}, wire.NotesBytes/2+1)...), wire.ErrFrame, "4098 bytes of notes"},
	} {
		l := wire.NewLink(config())
		err := l.Accept(c.frame)
		assert.ErrorIs(t, err, c.err, "%x", c.frame[:min(len(c.frame), 60)])
		assert.ErrorContains(t, err, c.says)
		assert.NoError(t, l.Err())
		assert.Equal(t, uint64(1), l.Stats().Refused)
		require.NoError(t, l.Accept(made(1, 0, good, nil)), "the link is as it was")
		k := &taker{}
		_, err = l.Deliver(0, k)
		require.NoError(t, err)
		assert.Equal(t, 2, k.entries)
	}
}

// Well-formed frames that say what the peer can't say end the link.
func TestBrokenProtocol(t *testing.T) {
	forgo := func(id, n uint64) []byte {
		return wire.AppendEntry(nil, wire.KindForgo, id, binary.AppendUvarint(nil, n))
	}
	message := func(id uint64, size int) []byte {
		return wire.AppendEntry(nil, wire.KindMessage, id, make([]byte, size))
	}
	closing := func(id uint64) []byte { return wire.AppendEntry(nil, wire.KindClose, id, nil) }
	var many, overrun []byte
	for id := range uint64(3) {
		many = append(many, open(id+1)...)
	}
	overrun = open(1)
	for range 33 {
		overrun = append(overrun, message(1, 0)...)
	}
	for _, c := range []struct {
		entries, notes []byte
		ack            uint64
		err            error
		says           string
	}{
		{nil, nil, 1, wire.ErrProtocol, "it acknowledges frame 1 of 0"},
		{nil, []byte{1, 1, 1}, 0, wire.ErrProtocol, "it misses frame 1 of 0"},
		{nil, []byte{2, 1, 1}, 0, wire.ErrProtocol, "it speaks of target 1 of 0"},
		{nil, []byte{4, 1}, 0, wire.ErrProtocol, "it speaks of target 1 of 0"},
		{open(2), nil, 0, wire.ErrProtocol, "target 2 is opened after 0"},
		{append(open(1), open(1)...), nil, 0, wire.ErrProtocol, "target 1 is opened after 1"},
		{many, nil, 0, wire.ErrOverrun, "more than 2 open targets"},
		{closing(1), nil, 0, wire.ErrProtocol, "kind 3 for target 1, which is not open"},
		{message(1, 0), nil, 0, wire.ErrProtocol, "message for target 1, which is not open"},
		{append(append(open(1), closing(1)...), message(1, 0)...), nil, 0, wire.ErrProtocol, "not open"},
		{append(append(open(1), closing(1)...), closing(1)...), nil, 0, wire.ErrProtocol, "not open"},
		{append(open(1), forgo(1, 32)...), nil, 0, wire.ErrOverrun, "gives back 32 credits"},
		{append(open(1), wire.AppendEntry(nil, wire.KindForgo, 1, []byte{1, 1})...), nil, 0, wire.ErrOverrun, "gives back 1 credits"},
		{overrun, nil, 0, wire.ErrOverrun, "target 1 has sent 33 credits of 31"},
		{append(append(open(1), message(1, 3000)...), append(open(2), message(2, 3000)...)...), nil, 0, wire.ErrOverrun, "credits of messages on trust"},
	} {
		conf := config()
		conf.Targets, conf.Trust, conf.MessageBytes = 2, 16, 4096
		if strings.Contains(c.says, "trust") {
			conf.Credits = 1
		}
		l := wire.NewLink(conf)
		err := l.Accept(made(1, c.ack, c.entries, c.notes))
		if err == nil {
			_, err = l.Deliver(0, &taker{full: map[uint64]bool{1: true, 2: true}})
		}
		assert.ErrorIs(t, err, c.err)
		assert.ErrorContains(t, err, c.says)
		assert.Equal(t, err, l.Err())
		// It does nothing any more.
		assert.Equal(t, err, l.Accept(made(1, 0, nil, nil)))
		_, again := l.Deliver(0, &taker{})
		assert.Equal(t, err, again)
		l.Tick()
		_, ok := l.Outgoing()
		assert.False(t, ok)
	}
	l := wire.NewLink(config())
	_, err := l.Open(nil)
	require.NoError(t, err)
	assert.ErrorContains(t, l.Accept(made(0, 0, nil, []byte{4, 1})), "it is done with target 1, which is open")
}

// Frames far ahead, and questions without end, are dropped.
func TestHostilePeerTakesBoundedMemory(t *testing.T) {
	l := wire.NewLink(config())
	require.NoError(t, l.Accept(made(1, 0, append(open(1), wire.AppendEntry(nil, wire.KindClose, 1, nil)...), nil)))
	_, err := l.Deliver(0, &taker{})
	require.NoError(t, err)
	require.NoError(t, l.Accept(made(wire.AheadMax+2, 0, open(2), nil)))
	assert.Equal(t, uint64(1), l.Stats().Ahead)
	require.NoError(t, l.Accept(made(1<<62, 0, nil, nil)))
	assert.Equal(t, uint64(2), l.Stats().Ahead)
	big := wire.AppendEntry(nil, wire.KindAnswer, 0, make([]byte, 200<<10))
	for seq := range uint64(100) {
		require.NoError(t, l.Accept(made(3+seq, 0, big, nil)))
		require.NoError(t, l.Check())
	}
	assert.Less(t, l.Stats().Held, 45)
	for range 100 {
		require.NoError(t, l.Accept(made(0, 0, nil, bytes.Repeat([]byte{3, 1}, 2000))))
	}
	assert.LessOrEqual(t, l.Asked(), wire.AskedMax)
}

func TestErrorsOfTheSender(t *testing.T) {
	conf := config()
	conf.Targets, conf.MessageBytes, conf.UnackedBytes = 1, 100, 1
	l := wire.NewLink(conf)
	x, err := l.Open([]byte("mailbox"))
	require.NoError(t, err)
	_, err = l.Open(nil)
	assert.Equal(t, wire.ErrTargets, err)
	assert.Equal(t, wire.ErrTooLarge, l.Send(x, wire.KindMessage, make([]byte, 101)))
	assert.Equal(t, wire.ErrTooLarge, l.Append(wire.KindAnswer, 0, make([]byte, 101)))
	assert.NoError(t, l.Send(x, wire.KindMessage, make([]byte, 100)), "one on trust")
	assert.Equal(t, wire.ErrCredits, l.Send(x, wire.KindMessage, nil))
	for err = nil; err == nil; {
		err = l.Append(wire.KindAnswer, 0, make([]byte, 100))
	}
	assert.Equal(t, wire.ErrFull, err)
	_, ready := l.Ready()
	assert.False(t, ready)
	l.Close(x)
	l.Close(x)
	assert.Equal(t, wire.ErrClosed, l.Send(x, wire.KindMessage, nil))
	_, err = l.Open(nil)
	assert.Equal(t, wire.ErrTargets, err, "the peer has not emptied it")
	assert.Panics(t, func() { _ = l.Send(x, wire.KindAnswer, nil) })
	assert.Panics(t, func() { _ = l.Append(wire.KindMessage, 1, nil) })
	assert.PanicsWithValue(t, "wire: Config.Window is -1, not 1 to 1048576", func() { wire.NewLink(wire.Config{Window: -1}) })
}

// What a lost peer has not confirmed: the entries of frames that were handed out may have been
// handled, the others were not.
func TestUnconfirmed(t *testing.T) {
	a, b := pair()
	x, err := a.Open([]byte("mailbox"))
	require.NoError(t, err)
	send := func(payload string) { require.NoError(t, a.Send(x, wire.KindMessage, []byte(payload))) }
	send("confirmed")
	a.Flush()
	carry(t, a, b, &taker{}, &taker{})
	b.Tick()
	carry(t, a, b, &taker{}, &taker{})
	send("handed out")
	a.Flush()
	_, ok := a.Outgoing()
	require.True(t, ok)
	send("cut")
	require.NoError(t, a.Append(wire.KindAnswer, 7, make([]byte, 200<<10)))
	send("open")
	var got []string
	for e, sent := range a.Unconfirmed() {
		if e.Kind == wire.KindMessage {
			got = append(got, string(e.Payload))
			assert.Equal(t, string(e.Payload) == "handed out", sent)
			assert.Equal(t, x.ID(), e.Target)
		} else {
			assert.Equal(t, wire.KindAnswer, e.Kind)
			assert.False(t, sent)
		}
	}
	assert.Equal(t, []string{"handed out", "cut", "open"}, got)
	for range a.Unconfirmed() {
		break
	}
}

// FuzzAccept gives a link frames that nobody made, in a session that has begun.
func FuzzAccept(f *testing.F) {
	a, b := pair()
	x, _ := a.Open([]byte("mailbox"))
	y, _ := b.Open([]byte("mailbox"))
	_ = a.Send(x, wire.KindMessage, []byte("hello"))
	_ = b.Send(y, wire.KindMessage, []byte("hello"))
	a.Flush()
	b.Flush()
	for _, l := range []*wire.Link{a, b} {
		for fr, ok := l.Outgoing(); ok; fr, ok = l.Outgoing() {
			f.Add(bytes.Clone(fr[:1]), bytes.Clone(fr[wire.HeadBytes:]), uint64(1), uint64(0), byte(1), uint16(0))
		}
	}
	f.Add([]byte{1}, []byte{2, 1, 31, 1, 1, 1, 4, 1, 3, 1}, uint64(1), uint64(1), byte(0), uint16(10))
	f.Fuzz(func(t *testing.T, first, rest []byte, seq, ack uint64, flags byte, notes uint16) {
		l := wire.NewLink(config())
		x, err := l.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Send(x, wire.KindMessage, []byte("x"))
		l.Flush()
		l.Outgoing()
		full := &taker{full: map[uint64]bool{1: true}}
		for range 2 {
			at := max(0, len(rest)-int(notes))
			fr := wire.Frame(wire.Head{Version: 1, Flags: flags, Session: in, Length: at, Seq: seq, Ack: ack}, rest[:at], rest[at:])
			for _, b := range [][]byte{bytes.Clone(first), fr} {
				err := l.Accept(b)
				if err != nil && !errors.Is(err, wire.ErrFrame) && !errors.Is(err, wire.ErrProtocol) &&
					!errors.Is(err, wire.ErrVersion) && !errors.Is(err, wire.ErrSession) && !errors.Is(err, wire.ErrOverrun) {
					t.Fatal(err)
				}
				_, _ = l.Deliver(3, full)
				if l.Err() == nil {
					if err := l.Check(); err != nil {
						t.Fatal(err)
					}
				}
			}
			seq++
			l.Tick()
			for range 100 {
				if _, ok := l.Outgoing(); !ok {
					break
				}
			}
		}
	})
}

// Bytes changed at random on the wire do no harm beyond an error.
func TestDamagedFrames(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		a, b := pair()
		x, err := a.Open([]byte("mailbox"))
		require.NoError(t, err)
		for range 10 {
			_ = a.Send(x, wire.KindMessage, make([]byte, r.IntN(300)))
		}
		a.Flush()
		for f, ok := a.Outgoing(); ok; f, ok = a.Outgoing() {
			f = bytes.Clone(f)
			for range 1 + r.IntN(3) {
				f[r.IntN(len(f))] = byte(r.Uint32())
			}
			_ = b.Accept(f[:len(f)-r.IntN(2)*r.IntN(len(f))])
			_, _ = b.Deliver(0, &taker{full: map[uint64]bool{1: true}})
			if b.Err() == nil {
				require.NoError(t, b.Check())
			}
		}
	}
}
