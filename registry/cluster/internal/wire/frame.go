package wire

import (
	"crypto/sha256"
	"encoding/binary"
)

// A frame is
//
//	version  1 byte
//	flags    1 byte   what of the following there is
//	length   4 bytes  of the entries
//	session  8 bytes
//	seq      8 bytes  number of the frame; without entries, of the last one with entries
//	ack      8 bytes  all entries of all frames up to this one have been delivered
//	entries           kind (1 byte), target, length of the payload, payload; until the length is used
//	notes             what (1 byte) and one or two numbers; until the frame ends
//
// Numbers of fixed width are big endian, all others are unsigned varints in their shortest form.
// The head has a fixed width so that an acknowledgement can be brought up to date in a frame that
// was written before.
const (
	version = 1

	flagEntries = 1 << 0 // the frame is numbered and has entries
	flagAsk     = 1 << 1 // the sender wants to know where the receiver is

	headBytes  = 1 + 1 + 4 + 8 + 8 + 8
	notesBytes = 4 << 10           // room for notes in a frame
	entryBytes = 1 + 10 + 5        // the most that an entry has beside its payload
	noteBytes  = 1 + 10 + 10       // the longest note
	gapsMax    = 16                // gaps that are asked for in one frame
	framesMax  = 16 << 10          // unacknowledged frames, and frames kept after a gap
	creditSize = 256               // bytes of payload for one credit
	numberMax  = uint64(1)<<63 - 1 // nothing is counted as high as this
)

// Notes: what a frame says beside its entries.
const (
	noteGap   = 1 // first, count: these frames are missing
	noteGrant = 2 // target, total: so many credits since the begin of the session
	noteAsk   = 3 // target: what is its total? Or: is it done?
	noteDone  = 4 // target: it was closed, and its mailbox has all messages
)

// SessionOf returns the number of the session of frames from one incarnation to another. It differs
// by direction, so a frame that comes back to its sender is refused.
func SessionOf(from, to [16]byte) uint64 {
	var both [32]byte
	copy(both[:16], from[:])
	copy(both[16:], to[:])
	sum := sha256.Sum256(both[:])
	return binary.BigEndian.Uint64(sum[:])
}

// head is what stands in front of the entries.
type head struct {
	flags   byte
	length  int
	session uint64
	seq     uint64
	ack     uint64
}

// put writes a head to the first headBytes of b.
func (h head) put(b []byte) {
	_ = b[headBytes-1]
	b[0] = version
	b[1] = h.flags
	binary.BigEndian.PutUint32(b[2:], uint32(h.length))
	binary.BigEndian.PutUint64(b[6:], h.session)
	binary.BigEndian.PutUint64(b[14:], h.seq)
	binary.BigEndian.PutUint64(b[22:], h.ack)
}

// putAck brings the acknowledgement of a written frame up to date.
func putAck(frame []byte, ack uint64) { binary.BigEndian.PutUint64(frame[22:], ack) }

// readHead reads the head of a frame. The version is checked first, since all else depends on it.
func readHead(b []byte) (head, error) {
	if len(b) == 0 {
		return head{}, refuse(ErrFrame, "it is empty")
	}
	if b[0] != version {
		return head{}, refuse(ErrVersion, "%d, not %d", b[0], version)
	}
	if len(b) < headBytes {
		return head{}, refuse(ErrFrame, "%d bytes are no head", len(b))
	}
	h := head{
		flags:   b[1],
		length:  int(int32(binary.BigEndian.Uint32(b[2:]))),
		session: binary.BigEndian.Uint64(b[6:]),
		seq:     binary.BigEndian.Uint64(b[14:]),
		ack:     binary.BigEndian.Uint64(b[22:]),
	}
	switch {
	case h.flags&^(flagEntries|flagAsk) != 0:
		return head{}, refuse(ErrFrame, "unknown flags %#x", h.flags)
	case h.length < 0 || h.length > len(b)-headBytes:
		return head{}, refuse(ErrFrame, "%d bytes of entries in a frame of %d", uint32(h.length), len(b))
	case h.length > 0 != (h.flags&flagEntries != 0):
		return head{}, refuse(ErrFrame, "flags %#x with %d bytes of entries", h.flags, h.length)
	case h.length > 0 && h.seq == 0, h.seq > numberMax, h.ack > numberMax:
		return head{}, refuse(ErrFrame, "number %d, acknowledged %d", h.seq, h.ack)
	}
	return h, nil
}

// number reads a varint and returns how many bytes it has: 0 if it is cut off, too large, or not in
// its shortest form.
func number(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	if len(b) > 1 && b[1] < 0x80 && b[1] != 0 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	x, n := binary.Uvarint(b)
	if n <= 0 || x > numberMax || b[n-1] == 0 {
		return 0, 0
	}
	return x, n
}

// appendEntry appends an entry; b has room for it.
func appendEntry(b []byte, kind Kind, target uint64, payload []byte) []byte {
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, target)
	b = binary.AppendUvarint(b, uint64(len(payload)))
	return append(b, payload...)
}

// cutEntry returns the first entry of b, and its length: 0 if it is cut off.
func cutEntry(b []byte) (kind Kind, target uint64, payload []byte, length int) {
	if len(b) == 0 {
		return 0, 0, nil, 0
	}
	at := 1
	target, n := number(b[at:])
	if n == 0 {
		return 0, 0, nil, 0
	}
	at += n
	size, n := number(b[at:])
	at += n
	if n == 0 || size > uint64(len(b)-at) {
		return 0, 0, nil, 0
	}
	end := at + int(size)
	return Kind(b[0]), target, b[at:end:end], end
}

// checkEntries returns what is wrong with the form of entries.
func checkEntries(b []byte, payloadMax int) error {
	for at := 0; at < len(b); {
		kind, target, payload, n := cutEntry(b[at:])
		switch {
		case n == 0:
			return refuse(ErrFrame, "entry at byte %d of %d is cut off", at, len(b))
		case len(payload) > payloadMax:
			return refuse(ErrFrame, "payload of %d bytes, the longest is %d", len(payload), payloadMax)
		case !kind.known():
			return refuse(ErrFrame, "kind %d", kind)
		case target == 0 && (kind < 16 || kind&Credited != 0):
			return refuse(ErrFrame, "kind %d without a target", kind)
		}
		at += n
	}
	return nil
}

// note is one of the notes of a frame.
type note struct {
	what byte
	a, b uint64
}

// cutNote returns the first note of b and its length: 0 if it is malformed.
func cutNote(b []byte) (note, int) {
	if len(b) == 0 {
		return note{}, 0
	}
	a, n := number(b[1:])
	if n == 0 {
		return note{}, 0
	}
	at := 1 + n
	switch b[0] {
	case noteAsk, noteDone:
		return note{b[0], a, 0}, at
	case noteGap, noteGrant:
		second, n := number(b[at:])
		if n == 0 {
			return note{}, 0
		}
		return note{b[0], a, second}, at + n
	}
	return note{}, 0
}

func appendNote1(b []byte, what byte, x uint64) []byte {
	return binary.AppendUvarint(append(b, what), x)
}

func appendNote2(b []byte, what byte, x, y uint64) []byte {
	return binary.AppendUvarint(appendNote1(b, what, x), y)
}

// costOf returns the credits of a payload.
func costOf(payload int) uint64 {
	if payload <= creditSize {
		return 1
	}
	return uint64((payload + creditSize - 1) / creditSize)
}

// lengthOf returns the bytes of entries of a frame that was checked.
func lengthOf(frame []byte) int { return int(binary.BigEndian.Uint32(frame[2:])) }
