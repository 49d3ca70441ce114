package queue

import "math"

// aside is what a ring has beside its messages: tickets, and the times at which some of its
// messages came, if the mailbox is measured. A ring without both has none, and its fast paths need
// to look at one pointer only.
type aside struct {
	slots []Ticket // nil until a message with a ticket comes; at the same indexes as the messages
	taken []Ticket // the tickets of messages that the reader has taken and not settled

	waits *waits // of a ring that a measured mailbox reads from; otherwise nil
	// stamps has the messages whose time is measured, those that came first in front. A message is
	// known by its number. The message at the head has the number head, and the i-th one behind it
	// head+i. So a stamp changes only when a message is put in or taken out before its own without
	// being the first.
	stamps []stamp
	gone   int    // the stamps at the front of stamps that are over
	head   uint64 // the number of the message at the head, or of the next one if there is none
	next   uint64 // the number of the first stamp, or none
}

// none is the number of no message.
const none = math.MaxUint64

// stamp is the arrival of a message whose time in the mailbox is measured.
type stamp struct {
	number uint64
	at     int64  // ns, on the clock of home
	weight uint64 // how often the message counts; 0 in the zero stamp, which stands for no stamp
}

func newAside() *aside {
	// The number of the first message is so large that putting back never goes below 0.
	return &aside{head: 1 << 32, next: none}
}

// leave counts the message at the head as gone, and returns its stamp.
func (k *aside) leave() (s stamp) {
	if k.head == k.next {
		s = k.stamps[k.gone]
		k.drop(k.gone)
	}
	k.head++
	return s
}

// drop takes out the stamp with the index i.
func (k *aside) drop(i int) {
	if i == k.gone {
		k.gone++
	} else {
		k.stamps = append(k.stamps[:i], k.stamps[i+1:]...)
	}
	k.found()
}

// found sets next to the number of the first stamp.
func (k *aside) found() {
	switch {
	case k.gone == len(k.stamps):
		k.stamps, k.gone, k.next = k.stamps[:0], 0, none
		return
	case k.gone > 32 && k.gone > len(k.stamps)/2:
		k.stamps = append(k.stamps[:0], k.stamps[k.gone:]...)
		k.gone = 0
	}
	k.next = k.stamps[k.gone].number
}

// from returns the index of the first stamp whose message is at place i or behind it.
func (k *aside) from(i uint32) int {
	at := len(k.stamps)
	for at > k.gone && k.stamps[at-1].number >= k.head+uint64(i) {
		at--
	}
	return at
}

// add gives the message at place i a stamp. It has none so far.
func (k *aside) add(i uint32, at int64, weight uint64) {
	s := stamp{k.head + uint64(i), at, weight}
	if k.gone == len(k.stamps) || k.stamps[len(k.stamps)-1].number < s.number {
		k.stamps = append(k.stamps, s)
	} else {
		j := k.from(i)
		k.stamps = append(k.stamps, stamp{})
		copy(k.stamps[j+1:], k.stamps[j:])
		k.stamps[j] = s
	}
	k.found()
}

// inserted is called when a message is put in at place i.
func (k *aside) inserted(i uint32) {
	if i == 0 {
		k.head--
		return
	}
	for j := k.from(i); j < len(k.stamps); j++ {
		k.stamps[j].number++
	}
	k.found()
}

// removed is called when the message at place i is taken out. It returns the stamp of the message.
func (k *aside) removed(i uint32) (s stamp) {
	if i == 0 {
		return k.leave()
	}
	j := k.from(i)
	if j < len(k.stamps) && k.stamps[j].number == k.head+uint64(i) {
		s = k.stamps[j]
		k.drop(j)
		j = k.from(i)
	}
	for ; j < len(k.stamps); j++ {
		k.stamps[j].number--
	}
	k.found()
	return s
}

// moved is called when the message at place from is put at place to.
func (k *aside) moved(from, to uint32) {
	s := k.removed(from)
	k.inserted(to)
	if s.weight > 0 {
		k.add(to, s.at, s.weight)
	}
}
