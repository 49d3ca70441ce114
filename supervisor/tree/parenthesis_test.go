package tree_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// No name of a tasklet looks like the line of the daemons, or like one that stands for other rows.
func TestNamesInParentheses(t *testing.T) {
	var b strings.Builder
	require.NoError(t, actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		for _, name := range []string{"(daemons)", "(daemons) of mine", "(+3 more, all idle)", "(cluster)"} {
			k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name(name))
			defer k.Kill()
		}
		return tree.Write(&b, t0, tree.AsText())
	}))
	for _, want := range []string{`\x28daemons) `, `\x28daemons) of mine`, `\x28+3 more, all idle)`, "─ (cluster) "} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "─ (daemons)")
	require.NotContains(t, b.String(), "─ (+")
}
