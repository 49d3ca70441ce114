package inspector_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// The Go blocks of docs/inspector.md are parts of the examples.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/inspector.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	program := strings.ReplaceAll(string(source), "\t", "")
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, blocks, 2)
	for _, b := range blocks {
		require.Contains(t, program, strings.ReplaceAll(b[1], "\t", ""), "in the guide, and not here")
	}
}

// The endpoints of the table in docs/inspector.md are there, with the lists that it names and no
// others.
func TestEndpointsAreDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/inspector.md")
	require.NoError(t, err)
	sys := system(t, actor.Config{})
	h := inspector.Handler(sys, inspector.AllowActions(), inspector.LogLevel(zap.NewAtomicLevel()))
	sys.Emit(actor.EventRecord{Kind: event.TicksMissed})
	seq := list(get(t, h, "events"), "events")[0]["seq"]
	rows := regexp.MustCompile("(?m)^\\| `(GET|POST) api/([^`]*)` \\|([^|]*)\\|([^|]*)\\|$").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, rows, 16)
	for _, r := range rows {
		method, path, lists := r[1], r[2], r[4]
		path = strings.NewReplacer("{id}", id(actor.Go(sys, waiting)), "{seq}", fmt.Sprint(seq), "stream", "stream?view=tree").Replace(path)
		ctx, cancel := context.WithCancel(t.Context())
		if strings.Contains(path, "stream") {
			cancel() // it ends when it would wait
		}
		w := do(h, request(method, mount+"api/"+path).WithContext(ctx))
		cancel()
		require.NotContains(t, []int{404, 405}, w.Code, "%s %s: %s", method, path, w.Body)
		if method == http.MethodPost || strings.Contains(path, "stack") || strings.Contains(path, "stream") || strings.Contains(path, "event/") {
			continue
		}
		documented := map[string]bool{}
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(lists, -1) {
			documented[name[1]] = true
		}
		for key, v := range object(t, w.Body.Bytes()) {
			if _, ok := v.([]any); ok {
				require.True(t, documented[key], "%s has %s, which is not in the guide", path, key)
				delete(documented, key)
			}
		}
		require.Empty(t, documented, path)
	}
}
