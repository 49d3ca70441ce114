package flight_test

import (
	"context"
	"io"
	"runtime/trace"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/flight"
)

// The time for a message without Regions, with it, and while a trace is recorded; see
// docs/profiling.md.
func BenchmarkRegions(b *testing.B) {
	for _, c := range []struct {
		name   string
		hook   actor.Hook
		record bool
	}{{"without", nil, false}, {"with", flight.Regions, false}, {"recorded", flight.Regions, true}} {
		b.Run(c.name, func(b *testing.B) {
			if c.record {
				require.NoError(b, trace.Start(io.Discard))
				defer trace.Stop()
			}
			b.ReportAllocs()
			require.NoError(b, actor.Run(context.Background(), actor.Config{Around: c.hook}, func(t *actor.Tasklet) error {
				in := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.MailboxLen(1024))
				for i := range b.N {
					if err := in.Send(t, i); err != nil {
						return err
					}
				}
				in.Close()
				return in.Join(t)
			}))
		})
	}
}
