package inspector

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

const (
	// stateLimit is how long a function of Publish may take, in real time.
	stateLimit = 100 * time.Millisecond
	// maxState is the largest published state, in bytes of JSON.
	maxState = 64 << 10
)

// Publish makes the page of t show what state returns, as JSON, until t has ended. A second call
// replaces the first. t may publish only what everybody who sees the page may know; the messages
// themselves are the author's to keep back.
//
// state is called while somebody looks at t, on a goroutine of its own, also while t runs, so a
// mutex or an atomic must protect what it reads. It must not wait for a tasklet. It has 100 ms,
// with the time to make the JSON, and 64 KiB; otherwise the page shows why there is nothing. A
// function that does not return is not called again before it has. If it panics or calls
// runtime.Goexit, the page shows that, and nothing else happens.
//
// Publish must be called inside t, and not in a deferred call. It panics if state is nil.
func Publish(t *actor.Tasklet, state func() any) {
	if state == nil {
		misuse("Publish of a nil function")
	}
	all := published.Of(t.System())
	p := &publisher{state: state}
	t.Defer(func() { all.CompareAndDelete(t, p) })
	all.Store(t, p)
}

// published maps the tasklets of a system to their *publisher.
var published = actor.NewExtension(func(*actor.System) *sync.Map { return new(sync.Map) })

// publisher is a function of Publish.
type publisher struct {
	state func() any
	// stuck says that a call has not returned in time. Atomic: written by the goroutines of calls,
	// and read before each call.
	stuck atomic.Bool
	mu    sync.Mutex // held during a call, so that there is one at a time
}

// stateOf returns what t publishes: a json.RawMessage, or why there is none. Both are empty if t
// publishes nothing.
func stateOf(t *actor.Tasklet) (state json.RawMessage, fault string) {
	v, _ := published.Of(t.System()).Load(t)
	if v == nil {
		return nil, ""
	}
	p := v.(*publisher)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck.Load() {
		return nil, "has not returned from an earlier call"
	}
	var out []byte
	var err error
	over := guard.Go(func() { out, err = json.Marshal(p.state()) })
	timer := time.NewTimer(stateLimit)
	defer timer.Stop()
	select {
	case f := <-over:
		switch {
		case f != nil:
			return nil, text.Line(text.Cut(f.String(), text.MaxError))
		case err != nil:
			return nil, text.Line(text.Cut(guard.Text(err), text.MaxError))
		case len(out) > maxState:
			return nil, fmt.Sprintf("gave %d bytes; at most %d are shown", len(out), maxState)
		}
		return out, ""
	case <-timer.C:
		p.stuck.Store(true)
		go func() {
			<-over
			p.stuck.Store(false)
		}()
		return nil, "has not returned in " + stateLimit.String()
	}
}
