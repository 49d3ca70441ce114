package conformance

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// Behaviour is something that happens between two ends.
type Behaviour struct {
	Name  string
	Rules string // of docs/semantics.md, or what else says so
	Run   func(p *Place)
	Want  []string // what it says
	Over  []string // what it says if the ends are on two nodes, if that differs
	Why   string   // why it differs, and where that is documented
}

// Place is two ends: one here, where a behaviour runs, and one there.
type Place struct {
	T           *actor.Tasklet // the tasklet that the behaviour runs in
	TB          testing.TB
	Here, There *Side
	Lost        *Lost
	Pass        time.Duration // within which everything arrives, on a virtual clock; otherwise 0

	// Owned by the scheduler of T.
	said  []string
	ends  int
	fence *End
}

// Side is one of the ends.
type Side struct {
	// Do calls f in a tasklet of the side whose children live on, and returns when f has returned.
	// It is called inside t. It is nil for the side where the behaviour runs.
	Do func(t *actor.Tasklet, f func(t *actor.Tasklet))
	// Node is the node, or nil if both ends are in one system without nodes.
	Node *cluster.Node
	// Registry has the names if there is no node.
	Registry *registry.Registry
}

// Lost counts messages that were reported as dead letters.
type Lost struct{ n atomic.Int64 }

// OnEvent is a Config.OnEvent.
func (l *Lost) OnEvent(e actor.EventRecord) {
	if e.Kind == event.DeadLetter {
		l.n.Add(int64(max(1, e.Count)))
	}
}

// Reset begins the count anew, for another run.
func (l *Lost) Reset() { l.n.Store(0) }

// Test runs all behaviours. place makes two ends and calls f with them, inside the tasklet T.
func Test(t *testing.T, over bool, place func(t *testing.T, f func(*Place))) {
	for _, b := range All() {
		t.Run(strings.ReplaceAll(b.Name, " ", "_"), func(t *testing.T) {
			place(t, func(p *Place) {
				b.Run(p)
				want := b.Want
				if over && b.Over != nil {
					want = b.Over
				}
				require.Equal(p.TB, strings.Join(want, "\n"), strings.Join(p.said, "\n"), b.Rules)
			})
		})
	}
}

// All returns all behaviours.
func All() []Behaviour {
	var all []Behaviour
	for _, some := range [][]Behaviour{mailboxes, ends, calls, names, groups} {
		all = append(all, some...)
	}
	return all
}

// say says what is seen.
func (p *Place) say(format string, args ...any) {
	p.said = append(p.said, fmt.Sprintf(format, args...))
}

func (p *Place) ok(err error) {
	p.TB.Helper()
	require.NoError(p.TB, err)
}

// until waits until something holds.
func (p *Place) until(what string, holds func() bool) {
	p.TB.Helper()
	for range 10_000 {
		if holds() {
			return
		}
		p.T.Sleep(2 * time.Millisecond)
	}
	require.FailNow(p.TB, "it does not happen: "+what)
}

// settle lets what is under way arrive: messages that are sent now come after it. What does not
// come by then could come later, so a test that nothing comes may pass too easily, but never fails
// by chance.
func (p *Place) settle() {
	if p.fence == nil {
		p.fence = p.start()
	}
	p.T.Sleep(p.Pass)
	for i := range 3 {
		v, err := p.call(p.fence, "answer", i)
		p.ok(err)
		require.Equal(p.TB, i, v)
	}
}

// limit returns a context that ends soon.
func limit(t *actor.Tasklet) (context.Context, context.CancelFunc) {
	return actor.WithTimeout(t, 30*time.Millisecond)
}

// parked reports whether a tasklet is parked in a kind of wait, as trees show it.
func parked(t *actor.Tasklet, wait string) bool {
	g := t.Glance()
	return g.State == "parked" && g.Wait == wait
}

// goAndPark starts a tasklet here, and waits until it is parked.
func (p *Place) goAndPark(wait string, f func(t *actor.Tasklet) error) *actor.Tasklet {
	p.TB.Helper()
	t := actor.Go(p.T, f)
	p.until("it parks in "+wait, func() bool { return parked(t, wait) })
	return t
}
