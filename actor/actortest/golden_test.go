package actortest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
)

var greet = map[string]actortest.Command{
	"greet": func(s *actortest.Script) error {
		s.Printf("hello, %s\n\n%v", s.Arg(0), s.Options)
		return errors.New("nobody answers")
	},
}

func TestGolden(t *testing.T) { actortest.Golden(t, "testdata/*.txt", greet) }

// scriptFile runs a file with this text, and gives what it is with what has happened, and what the
// test was told.
func scriptFile(t *testing.T, text string, commands map[string]actortest.Command) (got string, rec actortest.Recorder) {
	rec = actortest.Recorded(t, func(tb testing.TB) { got = actortest.GoldenFile(tb, "x.txt", text, commands) })
	return got, rec
}

// What happens otherwise than is written fails at its line, with all that has happened.
func TestGoldenFails(t *testing.T) {
	actortest.SetRewriting(t, false)
	const ok = "# a comment\n\nspawn a\nsend a x\nstabilize\n----\n0s spawn /test/a\na got x\n\n# the end\n"
	got, rec := scriptFile(t, ok, nil)
	require.False(t, rec.Failed(), rec.Text())
	require.Equal(t, ok, got)
	for change, want := range map[string]string{
		"a got x\n|a got y\n":    "x.txt:8: the output differs\n    expected  a got y\n    got       a got x\nThe whole output:\n    0s spawn /test/a\n    a got x\n",
		"a got x\n|":             "x.txt:8: the output differs\n    expected  (the end)\n    got       a got x\n",
		"a got x\n|a got x\nb\n": "x.txt:9: the output differs\n    expected  b\n    got       (the end)\n",
		"send|sned":              `x.txt:4: unknown command "sned"`,
		"send a|send b":          `x.txt:4: no ref has the name "b"`,
		"send a x|send a":        "x.txt:4: the command needs more arguments than 1",
		"stabilize|advance soon": `x.txt:5: time: invalid duration "soon"`,
		"send a x|send a \"x":    "x.txt:4: no closing quote in \"x",
		"----|---":               "x.txt:3: commands without ---- behind them",
		"# a comment|----":       "x.txt:1: no commands before ----",
		"# the end|spawn b":      "x.txt:10: commands without ---- behind them",
	} {
		from, to, _ := strings.Cut(change, "|")
		_, rec := scriptFile(t, strings.Replace(ok, from, to, 1), nil)
		require.True(t, rec.Failed(), change)
		require.Contains(t, rec.Text(), want)
	}
}

// With -actortest.rewrite a file is written from what happens, its comments are kept, and the next
// run agrees.
func TestGoldenRewrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new.txt")
	require.NoError(t, os.WriteFile(file, []byte("# first\nspawn a\n----\n\n\n# then\nsend a x  \nstabilize\n----\nwrong\n\nstabilize\n----\n"), 0o644))
	t.Run("rewrite", func(t *testing.T) {
		actortest.SetRewriting(t, true)
		actortest.Golden(t, file, nil)
	})
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "# first\nspawn a\n----\n0s spawn /test/a\n\n\n# then\nsend a x\nstabilize\n----\na got x\n\nstabilize\n----\nok\n", string(text))
	actortest.SetRewriting(t, false)
	actortest.Golden(t, file, nil)
}

// A command can replace one that there is, add refs of its own, and park.
func TestGoldenCommands(t *testing.T) {
	commands := map[string]actortest.Command{
		"spawn": func(s *actortest.Script) error {
			name := s.Arg(0)
			ref := actor.NewRef[actortest.Message](actor.Name("my " + name))
			s.Add(name, ref)
			actor.StartTasklet(s.T, actor.ReceiverBody(ref, s.Handle("my "+name)))
			s.T.Sleep(time.Second)
			return nil
		},
	}
	const text = "spawn a\nsend a x\nstabilize\n----\n0s spawn \"/test/my a\"\nmy a got x\n"
	got, rec := scriptFile(t, text, commands)
	require.False(t, rec.Failed(), rec.Text())
	require.Equal(t, text, got)
}

// A command of a test's own sends a message that ends its receiver.
func TestMessagePanics(t *testing.T) {
	commands := map[string]actortest.Command{"crash": func(s *actortest.Script) error {
		return s.Ref(s.Arg(0)).Send(s.T, actortest.Message{Text: "the last", Panic: "boom"})
	}}
	const text = "spawn a\ncrash a\nstabilize\n----\n"
	actortest.SetRewriting(t, true)
	got, rec := scriptFile(t, text, commands)
	require.False(t, rec.Failed(), rec.Text())
	require.Contains(t, got, "a got the last\n")
	require.Contains(t, got, "boom")
}
