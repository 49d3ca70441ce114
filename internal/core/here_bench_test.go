package core_test

import (
	"context"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// BenchmarkHere is what a call on a connection that has to wait pays to know its caller: from
// always the same depth of the stack, and from two that alternate.
func BenchmarkHere(b *testing.B) {
	for name, depths := range map[string][2]int{"same": {3, 3}, "alternating": {3, 8}} {
		b.Run(name, func(b *testing.B) {
			between(b, func(t *core.Task) {
				for i := range b.N {
					hereBelow(t, depths[i%2])
				}
			}, func(*core.Task) {})
		})
	}
}

//go:noinline
func hereBelow(ctx context.Context, depth int) {
	if depth > 0 {
		hereBelow(ctx, depth-1)
		return
	}
	t := core.TaskOf(ctx)
	if found, _ := t.Scheduler().Here(); found != t {
		panic("another task")
	}
}
