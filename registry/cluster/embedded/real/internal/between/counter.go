package between

import (
	"fmt"
	"sync/atomic"
)

// Counter counts the messages of a stream where they come in, and checks their order.
type Counter struct {
	// Atomic: written by start before the first message is sent, and by Got, which is called by one
	// goroutine at a time. Without them nothing would order the two.
	all, got atomic.Int64
}

func (c *Counter) start(n int64) {
	c.got.Store(0)
	c.all.Store(n)
}

// Got counts the message with a number, of which the first is 0, and returns how many there were.
// It tells the parent when the last one has come, or when this one is not the next one.
func (c *Counter) Got(number uint64) int64 {
	got := c.got.Add(1)
	if number != uint64(got-1) {
		fmt.Printf("message %d came as number %d\n", number, got-1)
	}
	if got == c.all.Load() {
		fmt.Println(handled)
	}
	return got
}

// handled is the line that a Counter prints when the last message has come.
const handled = "handled"

// Handled waits until all messages have been handled by a process with a counter.
func (p *Process) Handled() error {
	text, err := p.Line()
	if err == nil && text != handled {
		err = fmt.Errorf("the receiver says: %s", text)
	}
	return err
}
