package tree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var hostileTexts = []string{
	"a\n└─ forged  STALLED  receiver  idle", "k\r├─ x", "\x1b[2J\x1b[31m", "\x00\u0085\u009b", "\u2028\u2029", "\u202e\u2066", "\u200b\u00a0", "\xff\xc3",
	"│  ├─ y", "w  STALLED  task  idle", "  ", " ", "(daemons)", "(+5 more under x, all idle)", "a=b tasklets=0", `"`, `\n`,
	strings.Repeat("long ", 2000), strings.Repeat("└─", 300), "東京\u0301\u0301",
}

// Nothing that comes from a user's input adds a row to a tree, a cell to a row, or what can't be
// printed to either.
func TestHostileTextInTrees(t *testing.T) {
	for i, s := range hostileTexts {
		t.Run(fmt.Sprint(i), func(t *testing.T) { checkHostileTree(t, s) })
	}
}

func FuzzHostileTree(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ReplaceAll(s, "/", "") != "" && len(s) < 5000 {
			checkHostileTree(t, s)
		}
	})
}

func checkHostileTree(t *testing.T, s string) {
	name := strings.ReplaceAll(s, "/", "")
	printable := func(text, what string) {
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Fatalf("%s has %q: %.300q", what, r, text)
			}
		}
	}
	var log entries
	runWith(t, func() actor.Config { c := log.config(zap.InfoLevel); c.Name = name; return c }(), func(t0 *actor.Tasklet) {
		body := func(fail bool) actor.Body {
			n := 0
			return actor.GoBody(func(t *actor.Tasklet) error {
				t.SetLabel(s, s)
				t.SetLabel("kind", s)
				if n++; fail && n == 1 {
					return errors.New(s)
				}
				t.Sleep(time.Hour)
				return nil
			})
		}
		waits := actor.NewRef[int](actor.MailboxLen(1))
		start(t0, supervisor.Spec{Name: name, Intensity: 5, Children: []supervisor.Child{
			{ID: name, Body: body(true)},
			{ID: "y" + name, Body: actor.ReceiverBody(waits, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })},
			{ID: "z" + name, Body: actor.GoBody(func(t *actor.Tasklet) error {
				for {
					if err := waits.Send(t, 1); err != nil {
						return err
					}
				}
			})},
			{ID: "t" + name, Body: actor.GoBody(func(*actor.Tasklet) error { return nil }), Restart: supervisor.Transient},
		}})
		start(t0, supervisor.Spec{Name: "b" + name, Backoff: supervisor.Backoff{Min: time.Hour}, Children: []supervisor.Child{
			{ID: name, Body: actor.GoBody(func(t *actor.Tasklet) error { return errors.New(s) })},
		}})
		p := startPool(t0, supervisor.PoolSpec[string]{Name: "p", Child: func(id string) supervisor.Child {
			return supervisor.Child{ID: id, Body: body(false)}
		}})
		_, err := p.Start(t0, name)
		require.NoError(t, err)
		actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("d"+name), actor.Daemon())
		t0.Sleep(time.Second)

		want := len(tree.Snapshot(t0))
		for _, row := range tree.Snapshot(t0) {
			printable(row.Name, "name")
			printable(row.Path, "path")
		}
		for _, width := range []int{0, 200, 80, 40, 20} {
			var b bytes.Buffer
			require.NoError(t, tree.Write(&b, t0, tree.Width(width)))
			lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
			require.True(t, strings.HasPrefix(lines[0], "supervision tree"))
			branches := 0
			for _, l := range lines {
				printable(l, "line")
				if strings.ContainsAny(l, "├└") {
					branches++
					require.Equal(t, 1, strings.Count(l, "├")+strings.Count(l, "└"), l)
				}
			}
			// All but the root and the line over the daemons have a branch.
			require.Equal(t, want-2, branches, b.String())
			if width == 0 {
				require.Len(t, lines, want+1)
				require.Equal(t, 1, strings.Count("\n"+b.String(), "\n(daemons)"))
				for _, cell := range strings.Split(strings.TrimSpace(lines[1]), "  ") {
					require.NotEqual(t, "STALLED", strings.TrimSpace(cell))
				}
			}
		}
		logger, buf := console()
		tree.Log(logger, t0)
		// the summary, and the fields
		require.Len(t, strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n"), want+2)
		jsonLogger, buf := jsonLog()
		tree.Log(jsonLogger, t0)
		line := strings.TrimSuffix(buf.String(), "\n")
		printable(line, "JSON")
		requireKeysOnce(t, line)
	})
	for line := range strings.Lines(log.buf.String()) {
		printable(strings.TrimSuffix(line, "\n"), "entry")
		require.True(t, json.Valid([]byte(line)))
	}
}

func console() (*zap.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	enc := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(&b)), zap.InfoLevel)), &b
}

func jsonLog() (*zap.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(&b)), zap.InfoLevel)), &b
}

// requireKeysOnce fails if an object in text has a key twice.
func requireKeysOnce(t *testing.T, text string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var value func()
	value = func() {
		tok, err := d.Token()
		require.NoError(t, err)
		switch tok {
		case json.Delim('{'):
			keys := map[string]bool{}
			for d.More() {
				k, err := d.Token()
				require.NoError(t, err)
				require.False(t, keys[k.(string)], "the key %q is there twice: %s", k, text)
				keys[k.(string)] = true
				value()
			}
			_, _ = d.Token()
		case json.Delim('['):
			for d.More() {
				value()
			}
			_, _ = d.Token()
		}
	}
	value()
}
