package queue_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/core/coretest"
	"github.com/gotasklet/tasklet/internal/queue"
)

// While a local sender streams into a mailbox that is large enough for promises of several sizes,
// foreign senders find room whenever there is some: Check compares the credits after each message.
func TestRoomIsPromisedBesideALocalStream(t *testing.T) {
	const messages = 5000
	for _, size := range []int{1, 15, 16, 17, 64, 1024} {
		m := queue.New[int](queue.Config{Cap: size})
		var problem error
		n := 0
		err := coretest.Simulate(nil, func(t *core.Task) {
			m.Open(t)
			defer m.Discard()
			for range m.Receive() {
				n++
				if err := m.Check(); err != nil && problem == nil {
					problem = fmt.Errorf("after %d messages: %w", n, err)
				}
				if n%(size/16+7) == 0 {
					t.Yield() // the sender finds some room, not always the same
				}
			}
		}, func(t *core.Task) {
			for i := range messages {
				_ = m.Send(t, i)
			}
		})
		require.NoError(t, err)
		require.NoError(t, problem, "capacity %d", size)
		require.Equal(t, messages, n)
	}
}
