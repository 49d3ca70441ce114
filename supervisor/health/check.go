package health

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// maxError is the largest length of the text of a check's error, in bytes.
const maxError = 256

// check is a Check with its last call.
type check struct {
	Check

	mu   sync.Mutex
	last *call // the last call, or nil; mu protects it
}

// call is a call of Check.Func.
type call struct {
	begin time.Time
	done  chan struct{} // closed when it has returned, after the following are written

	end     time.Time
	problem string
}

// begin returns the present call. If there is none, and the result of the last is too old, it
// begins one.
func (c *check) begin() *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil {
		select {
		case <-c.last.done:
			if time.Since(c.last.end) < fresh {
				return c.last
			}
		default:
			return c.last
		}
	}
	r := &call{begin: time.Now(), done: make(chan struct{})}
	c.last = r
	go c.run(r)
	return r
}

// run calls Func.
func (c *check) run(r *call) {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	var err error
	fault := guard.Call(func() { err = c.Func(ctx) })
	switch {
	case fault != nil:
		r.problem = shorten(fault.String())
	case err != nil:
		r.problem = or(shorten(guard.Text(err)), "an error without a text")
	}
	r.end = time.Now()
	close(r.done)
}

func shorten(s string) string { return text.Line(text.Cut(s, maxError)) }

// wait waits for r, until its time is over or ctx ends, and returns the problem, or "".
func (c *check) wait(ctx context.Context, r *call) string {
	select {
	case <-r.done:
		return r.problem
	default:
	}
	left := c.Timeout - time.Since(r.begin)
	if left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-r.done:
			return r.problem
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return fmt.Sprintf("has not returned for %v", round(time.Since(r.begin)))
}
