package actortest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gotasklet/tasklet/actor"
)

// Golden runs each file that matches glob ("testdata/*.txt") as a subtest, with a system of its
// own, as [Run] does. A file consists of blocks. A block has commands, a line of four dashes, and
// all output of these commands, up to an empty line:
//
//	# The second message fails, and the receiver continues.
//	spawn a
//	send a one
//	crash a reason="out of paper"
//	send a two
//	stabilize
//	----
//	0s spawn /test/a
//	a got one
//	0s failure /test/a error="out of paper" message=actortest.Message count=1
//	a got two
//
// The output has all events, in the form of a [Trace], and the lines that commands and receivers
// print. As nothing is left out, nothing can happen unnoticed. Events that would fail the test
// under [Run] do not fail it here, because the file says whether they are expected. A block in
// which nothing happens has the output "ok". Lines that begin with # are comments.
//
// These commands exist; the argument commands may add others or replace them:
//
//	spawn NAME [cap=N] [overflow=POLICY] [failure=stop]
//	                     start a receiver of Messages
//	send NAME TEXT...    send it messages, without waiting
//	busy NAME DURATION   make it take that long for a message
//	crash NAME [reason=TEXT] [panic=TEXT]
//	                     make it fail on a message
//	kill NAME, close NAME
//	advance DURATION     let time pass, with everything that is due until then
//	stabilize            wait until nothing more can happen without time passing
//	tree                 print the tasklets and their states
//
// Names are those given to [Script.Add]. Values with spaces are written in double quotes. The error
// of a command is printed too.
//
// With the flag -actortest.rewrite (or -rewrite, in a test that defines that flag) Golden writes
// the files anew from what happens. A new file begins with commands and dashes only. Commit only
// what you understand, because the file defines from then on what is right.
func Golden(t *testing.T, glob string, commands map[string]Command, opts ...Option) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatalf("actortest: %v", err)
	}
	if len(files) == 0 {
		t.Fatalf("actortest: no file is named %s", glob)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("actortest: %v", err)
			}
			got := goldenFile(t, filepath.ToSlash(file), string(text), commands, opts)
			if rewriting() && !t.Failed() && got != string(text) {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatalf("actortest: %v", err)
				}
			}
		})
	}
}

var rewrite = flag.Bool("actortest.rewrite", false, "let actortest.Golden write its files anew; commit only what you understand")

func rewriting() bool {
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		return true
	}
	return *rewrite
}

// block is a block of a file.
type block struct {
	line     int      // of the first command
	before   []string // lines that are kept as they are
	commands []string
	output   []string
}

const dashes = "----"

// parseBlocks returns the blocks of a file, and the lines after the last one.
func parseBlocks(text string) (blocks []block, after []string, err error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var b block
	for i := 0; i < len(lines); i++ {
		l := strings.TrimRight(lines[i], " \t\r")
		switch {
		case l == dashes:
			if len(b.commands) == 0 {
				return nil, nil, fmt.Errorf("%d: no commands before %s", i+1, dashes)
			}
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != ""; i++ {
				b.output = append(b.output, strings.TrimRight(lines[i], " \t\r"))
			}
			blocks = append(blocks, b)
			b = block{}
			if i < len(lines) {
				b.before = append(b.before, "")
			}
		case l == "" || strings.HasPrefix(l, "#"):
			if len(b.commands) > 0 {
				return nil, nil, fmt.Errorf("%d: commands without %s behind them", b.line, dashes)
			}
			b.before = append(b.before, l)
		default:
			if len(b.commands) == 0 {
				b.line = i + 1
			}
			b.commands = append(b.commands, l)
		}
	}
	if len(b.commands) > 0 {
		return nil, nil, fmt.Errorf("%d: commands without %s behind them", b.line, dashes)
	}
	return blocks, b.before, nil
}

// goldenFile runs a file, and returns its text with the actual output.
func goldenFile(tb testing.TB, file, text string, commands map[string]Command, opts []Option) string {
	tb.Helper()
	blocks, after, err := parseBlocks(text)
	if err != nil {
		tb.Fatalf("actortest: %s:%v", file, err)
	}
	s := &Script{file: file, commands: commands, refs: map[string]actor.Ref[Message]{}}
	var out strings.Builder
	Run(tb, func(t *actor.Tasklet) {
		s.T = t
		for _, b := range blocks {
			s.out = nil
			for i, c := range b.commands {
				s.line = b.line + i
				s.do(c)
			}
			got := s.out
			if len(got) == 0 {
				got = []string{"ok"}
			}
			for _, part := range [][]string{b.before, b.commands, {dashes}, got} {
				out.WriteString(joinLines(part))
			}
			if !rewriting() {
				compare(TB(t), file, b, got)
			}
		}
	}, append(opts, Option{func(o *options) { o.told = s.event }})...)
	out.WriteString(joinLines(after))
	return out.String()
}

// compare fails the test at the first line that differs.
func compare(tb testing.TB, file string, b block, got []string) {
	for i := range max(len(b.output), len(got)) {
		want, is := "(the end)", "(the end)"
		if i < len(b.output) {
			want = b.output[i]
		}
		if i < len(got) {
			is = got[i]
		}
		if want != is {
			tb.Fatalf("actortest: %s:%d: the output differs\n    expected  %s\n    got       %s\n"+
				"The whole output:\n    %s\nIf that is right, run the test with -actortest.rewrite, and commit only what you understand.",
				file, b.line+len(b.commands)+1+i, want, is, strings.Join(got, "\n    "))
		}
	}
}
