package event_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
)

var visited = event.New("visited", zap.InfoLevel)

// Each kind has a name of its own and a level; what is none is unknown.
func TestKinds(t *testing.T) {
	names := map[string]event.Kind{}
	for k := event.Spawn; k <= event.EventsDropped; k++ {
		name := k.String()
		require.NotEqual(t, "unknown", name, "kind %d", k)
		require.Zero(t, names[name], name)
		names[name] = k
	}
	require.Len(t, names, 26)
	require.Equal(t, "unknown", event.Kind(0).String())
	require.Equal(t, "unknown", event.Kind(255).String())
	require.Equal(t, zap.ErrorLevel, event.Stall.Level())
	require.Equal(t, zap.DebugLevel, event.Spawn.Level())
}

func TestNew(t *testing.T) {
	defer event.Save()()
	require.Equal(t, "visited", visited.String())
	require.Equal(t, zap.InfoLevel, visited.Level())
	require.Greater(t, visited, event.EventsDropped)
	require.PanicsWithValue(t, `event: New("exit"): another kind of event has the name`, func() { event.New("exit", zap.WarnLevel) })
	require.PanicsWithValue(t, `event: New("visited"): another kind of event has the name`, func() { event.New("visited", zap.WarnLevel) })
	full := func() {
		for n := range 192 {
			require.NotEqual(t, "unknown", event.New(fmt.Sprint("full_", n), zap.WarnLevel).String())
		}
	}
	require.PanicsWithValue(t, `event: New("full_191"): there are too many kinds of events`, full)
}

func ExampleNew() {
	// A package that extends systems has it as a variable of its own.
	fmt.Println(visited, visited.Level())
	// Output: visited info
}
