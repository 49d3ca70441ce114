package natsnet

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// queueMax is the memory for frames that wait for the connection. It is filled if a server stands
// still; more is lost, and sent again by the links.
const queueMax = 8 << 20

// sender publishes frames on a goroutine of its own: Publish writes to the socket when its buffer
// is full, and a scheduler must not wait for that.
type sender struct {
	nc           *nats.Conn
	before, from string        // of a subject
	wake         chan struct{} // has room for one
	done         chan struct{} // closed at the end of run

	mu sync.Mutex // protects the following
	// Owned by mu.
	data   []byte
	frames []outgoing
	lost   uint64
	over   bool
}

// outgoing is a frame in data.
type outgoing struct {
	to  string
	end int
}

func newSender(nc *nats.Conn, before, from string) *sender {
	s := &sender{nc: nc, before: before, from: from, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *sender) send(to string, frame []byte) {
	s.mu.Lock()
	if s.over || !ValidToken(to) || len(s.data)+len(frame) > queueMax {
		s.lost++
		s.mu.Unlock()
		return
	}
	s.data = append(s.data, frame...)
	s.frames = append(s.frames, outgoing{to, len(s.data)})
	first := len(s.frames) == 1
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

func (s *sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sender) close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.signal()
}

// run publishes what there is, until close. Two pieces of memory take turns.
func (s *sender) run() {
	defer close(s.done)
	var data []byte
	var frames []outgoing
	subjects := map[string]string{}
	for range s.wake {
		s.mu.Lock()
		data, s.data = s.data, data[:0]
		frames, s.frames = s.frames, frames[:0]
		over := s.over
		s.mu.Unlock()
		at := 0
		for _, f := range frames {
			subject := subjects[f.to]
			if subject == "" {
				if len(subjects) >= 10000 {
					clear(subjects)
				}
				subject = s.before + f.to + s.from
				subjects[f.to] = subject
			}
			if s.nc.Publish(subject, data[at:f.end]) != nil { // it is lost, as by the network
				s.mu.Lock()
				s.lost++
				s.mu.Unlock()
			}
			at = f.end
		}
		if over {
			return
		}
		if cap(data) > queueMax/8 {
			data = nil // a burst
		}
	}
}
