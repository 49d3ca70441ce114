package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Stalled names who keeps control, asked from another goroutine, and nobody when that is over.
func TestStalled(t *testing.T) {
	seen := make(chan Stall)
	s := New(Config{StallAfter: 4 * time.Millisecond, Hooks: Hooks{Stall: func(st Stall) { seen <- st }}})
	id, d := s.Stalled()
	require.Zero(t, id)
	require.Zero(t, d)
	release := make(chan struct{})
	var task Task
	task.Init(s, 7, runFunc(func(*Task) { <-release; s.Stop() }))
	task.Wake()
	done := make(chan error)
	go func() { done <- s.Run() }()
	next := func(over bool) { // other stalls are a slow machine
		for st := range seen {
			if st.ID == 7 && st.Over == over {
				return
			}
		}
	}
	next(false)
	id, d = s.Stalled()
	require.EqualValues(t, 7, id)
	require.GreaterOrEqual(t, d, 4*time.Millisecond)
	close(release)
	next(true)
	id, _ = s.Stalled()
	require.Zero(t, id)
	require.NoError(t, <-done)
}
