package inspector_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// However many tasklets there are, an answer has only what is shown, and a page finds each of them.
// INSPECTOR_TASKLETS is the number, 20,000 by default; with a million it says how long each answer
// takes.
func TestManyTasklets(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("INSPECTOR_TASKLETS"))
	if n == 0 {
		n = 20_000
	}
	sys := system(t, actor.Config{})
	parts := make([]*actor.Tasklet, 10)
	started := make(chan struct{}, len(parts))
	for i := range parts {
		parts[i] = actor.Go(sys, func(t *actor.Tasklet) error {
			for k := range n / len(parts) {
				actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.Name(fmt.Sprintf("r%d-%d", i, k)))
				if k%1000 == 0 {
					t.Yield()
				}
			}
			started <- struct{}{}
			return waiting(t)
		}, actor.Name(fmt.Sprint("part", i)))
	}
	for range parts {
		<-started
	}
	h := inspector.Handler(sys)
	last := fmt.Sprintf("r9-%d", n/10-1)
	for _, what := range []string{
		"tree", "tree", "tree?q=" + last, "tree?under=/shop/part9", fmt.Sprintf("tree?under=/shop/part9&skip=%d", n/10-5),
		"tasklets", "tasklets?sort=name", "tasklets?sort=depth", "tasklets?sort=rate", "tasklets?q=" + last, "tasklet/" + id(parts[9]), "stuck", "system", "tree?format=text",
	} {
		begin := time.Now()
		w := do(h, request(http.MethodGet, mount+"api/"+what))
		if n >= 100_000 {
			fmt.Printf("%-40s %6d ms %7d bytes\n", what, time.Since(begin).Milliseconds(), w.Body.Len())
		}
		require.Equal(t, 200, w.Code, what)
		require.Less(t, w.Body.Len(), 120_000, what)
	}
	require.EqualValues(t, n+11, get(t, h, "tree")["tasklets"])
	require.Equal(t, last, list(get(t, h, "tasklets?q="+last), "rows")[0]["name"])
	tail := list(get(t, h, fmt.Sprintf("tree?under=/shop/part9&skip=%d", n/10-5)), "tree")
	require.Len(t, tail, 6)
	require.Equal(t, last, tail[5]["name"])
	rows := list(get(t, h, "tree"), "tree")
	require.LessOrEqual(t, len(rows), 200)
}
