package examples

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"

	_ "github.com/gotasklet/tasklet/actor/flight"         // has kinds of events
	_ "github.com/gotasklet/tasklet/registry"             // has kinds of events
	_ "github.com/gotasklet/tasklet/supervisor/inspector" // has kinds of events
	_ "github.com/gotasklet/tasklet/supervisor/schedule"  // has kinds of events
	_ "github.com/gotasklet/tasklet/supervisor/work"      // has kinds of events
)

// order is the message of the incident in docs/log.md.
type order struct{}

// incident is a service whose database does not answer from the third second to the seventh.
func incident(t *actor.Tasklet) error {
	begin := t.System().Now()
	orders := actor.NewRef[order](actor.MailboxLen(64))
	store := actor.ReceiverBody(orders, func(t *actor.Tasklet, _ order) error {
		if s := t.System().Now().Sub(begin).Seconds(); s >= 3 && s < 7 {
			return errors.New("dial tcp 10.0.0.7:5432: connection refused")
		}
		return nil
	})
	_, err := supervisor.Start(t, supervisor.Spec{Name: "top", LogEvery: 7500 * time.Millisecond, Children: []supervisor.Child{
		{ID: "orders", Body: supervisor.Body(supervisor.Spec{
			Intensity: 2,
			Children:  []supervisor.Child{{ID: "store", Body: store}},
		})},
		{ID: "front", Body: actor.IntervalBody(time.Second, func(t *actor.Tasklet) error { return orders.Send(t, order{}) })},
	}})
	if err != nil {
		return err
	}
	t.Sleep(8500 * time.Millisecond)
	return nil
}

// The log in docs/log.md is that of the incident, without the IDs.
func TestIncidentOfLogPage(t *testing.T) {
	var log bytes.Buffer
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeTime = "time", zapcore.TimeEncoderOfLayout("15:04:05.000")
	cfg := actor.Config{
		Name: "shop", Clock: scheduler.NewVirtualClock(time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)), StallAfter: -1,
		Logger: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.AddSync(&log), zap.InfoLevel)),
	}
	require.NoError(t, actor.Run(context.Background(), cfg, incident))
	ids := regexp.MustCompile(`"(?:system|tasklet)":"[^"]*",`)
	got := ids.ReplaceAllString(log.String(), "")
	for _, b := range blocks(readPage(t, "../docs/log.md")) {
		if b.language == "json" {
			require.Equal(t, got, b.text)
			return
		}
	}
	require.Fail(t, "the page has no log")
}

func readPage(t *testing.T, path string) string {
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(page)
}

// Every kind of event has a row in docs/log.md with its level, and every row is about a kind that
// there is.
func TestEventsAreDocumented(t *testing.T) {
	type entry struct{ event, level string }
	code := make(map[entry]bool)
	for k := range 256 {
		if k := event.Kind(k); k.String() != "unknown" {
			code[entry{k.String(), k.Level().String()}] = true
		}
	}
	fields := make(map[string]bool)
	for _, source := range sources(t) {
		for _, m := range regexp.MustCompile(`event\.New\("(\w+)", zap\.(\w+)Level\)`).FindAllStringSubmatch(source, -1) {
			e := entry{m[1], strings.ToLower(m[2])}
			if strings.Contains(source, "package cluster\n") { // a module that is not imported here
				code[e] = true
			}
			require.True(t, code[e], "import the package of %s here", m[1])
		}
		for _, m := range regexp.MustCompile(`zap\.(\w+)\("(\w+)"`).FindAllStringSubmatch(source, -1) {
			if m[1] == "Duration" {
				m[2] += "_seconds"
			}
			fields[m[2]] = true
		}
	}
	// Those of package service and the tree, whose levels are not in one place.
	for _, e := range []entry{
		{"tree", "info"}, {"draining", "info"}, {"drained", "info"}, {"drain_cut", "warn"}, {"undrained", "error"}, {"end_with_ignored", "warn"},
	} {
		code[e] = true
	}

	page := readPage(t, "../docs/log.md")
	rows := make(map[entry]bool)
	names := regexp.MustCompile("`(\\w+)`")
	for _, row := range regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\| (debug|info|warn|error) \\|").FindAllStringSubmatch(page, -1) {
		for _, name := range names.FindAllStringSubmatch(row[1], -1) {
			rows[entry{name[1], row[2]}] = true
		}
	}
	require.Greater(t, len(rows), 40)
	require.Equal(t, code, rows)
	for field := range fields {
		require.Contains(t, page, "`"+field+"`", "a field of an entry")
	}
	require.Greater(t, len(fields), 40)
}

// sources returns the files that make entries of the log, except for the rows of the tree.
func sources(t *testing.T) (all []string) {
	for _, dir := range []string{"actor", "registry", "supervisor"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "actortest" || d.Name() == "tree" || d.Name() == "testdata"):
				return fs.SkipDir
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				all = append(all, readPage(t, path))
			}
			return nil
		})
		require.NoError(t, err)
	}
	return all
}
