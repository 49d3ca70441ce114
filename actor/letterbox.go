package actor

import (
	"slices"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// letterBox is a receiver of dead letters.
type letterBox struct {
	l    anyLineage
	send func(DeadLetter) error // to l, without waiting
	// The numbers of dead letters that it did not take, and that no event has reported yet. Atomic:
	// written by every goroutine that loses a message.
	full, closed atomic.Int64
}

// setLetters replaces the receivers of dead letters by what change returns for a copy of them.
func (s *System) setLetters(change func([]*letterBox) []*letterBox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*letterBox
	if old := s.letters.Load(); old != nil {
		all = slices.Clone(*old)
	}
	if all = change(all); len(all) == 0 {
		s.letters.Store(nil)
		return
	}
	s.letters.Store(&all)
}

// handOver gives d to the receivers of dead letters. It never waits. The caller reports the loss
// afterwards, and calls lettersOver.
func (s *System) handOver(d DeadLetter) {
	all := s.letters.Load()
	if _, again := d.Message.(DeadLetter); all == nil || again {
		return
	}
	d.Time = s.Now()
	for _, b := range *all {
		switch b.send(d) {
		case nil:
		case mailbox.ErrFull:
			b.full.Add(1)
		default:
			b.closed.Add(1)
		}
	}
}

// lettersOver reports the dead letters that were not delivered.
func (s *System) lettersOver() {
	if all := s.letters.Load(); all != nil {
		for _, b := range *all {
			s.countLetters(b)
		}
	}
}

func (s *System) countLetters(b *letterBox) {
	t := b.l.last()
	if t != nil && t.sys != s {
		t = nil
	}
	if n := b.full.Swap(0); n > 0 {
		s.deadLetters(b.l, t, queue.Loss{Count: int(n), Type: b.l.message(), Reason: mailbox.ErrFull})
	}
	if n := b.closed.Swap(0); n > 0 {
		s.deadLetters(b.l, t, queue.Loss{Count: int(n), Type: b.l.message(), Reason: mailbox.ErrClosed})
	}
}

// handOverInHand gives the messages in hand, which are lost because of err, to the receivers of
// dead letters.
func (t *Tasklet) handOverInHand(err error) {
	if t.sys.letters.Load() == nil {
		return
	}
	if i, ok := inner(t.inst).(interface{ eachInHand(*Tasklet, func(any)) }); ok {
		path := t.Path()
		i.eachInHand(t, func(m any) {
			t.sys.handOver(DeadLetter{To: path, Kind: event.MessageLost, Err: err, Message: m})
		})
	}
}
