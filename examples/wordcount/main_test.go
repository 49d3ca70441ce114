package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// result is what wordcount printed, read back.
type result struct {
	out, log string
	words    map[string]int
	lines    int
	lost     []string
}

var (
	wordLine  = regexp.MustCompile(`(?m)^ *(\d+)  (\S+)$`)
	totals    = regexp.MustCompile(`(?m)^words \d+, different \d+, lines (\d+), files (\d+)`)
	lostLine  = regexp.MustCompile(`(?m)^lines lost in crashes: (\d+): (.*)$`)
	logLost   = regexp.MustCompile(`"event": "failure".*"error": "crashed at ([^"]*)"`)
	logHeld   = regexp.MustCompile(`"suppressed": (\d+).*"event": "failure"`)
	leftOver  = regexp.MustCompile(`(?m)^lines read and not counted: (\d+)$`)
	stall     = regexp.MustCompile(`(?m)^.*"event": "stall.*\n`)
	peakLimit = regexp.MustCompile(`mailbox \d+/(\d+) +peak (\d+)`)
)

func count(t *testing.T, status int, stdin io.Reader, args ...string) result {
	t.Helper()
	var out, log strings.Builder
	require.Equal(t, status, run(append([]string{"-top", "1000000"}, args...), stdin, &out, &log), log.String())
	return read(t, out.String(), log.String())
}

func read(t *testing.T, out, log string) result {
	t.Helper()
	log = stall.ReplaceAllString(log, "") // the machine may be busy with something else
	r := result{out: out, log: log, words: map[string]int{}}
	for _, m := range wordLine.FindAllStringSubmatch(out, -1) {
		r.words[m[2]], _ = strconv.Atoi(m[1])
	}
	m := totals.FindStringSubmatch(out)
	require.NotNil(t, m, out)
	r.lines, _ = strconv.Atoi(m[1])
	if m := lostLine.FindStringSubmatch(out); m != nil {
		r.lost = strings.Split(m[2], ", ")
		require.Equal(t, m[1], strconv.Itoa(len(r.lost)))
	}
	for _, m := range peakLimit.FindAllStringSubmatch(out, -1) {
		limit, _ := strconv.Atoi(m[1])
		peak, _ := strconv.Atoi(m[2])
		require.LessOrEqual(t, peak, limit, out)
	}
	return r
}

// plain counts in the obvious way.
func plain(lines ...string) map[string]int {
	words := map[string]int{}
	for _, l := range lines {
		for _, w := range plainWord.FindAllString(strings.ToLower(l), -1) {
			words[w]++
		}
	}
	return words
}

// requireWords names the first difference only.
func requireWords(t *testing.T, want, got map[string]int) {
	t.Helper()
	for w, n := range want {
		require.Equal(t, n, got[w], w)
	}
	for w, n := range got {
		require.Equal(t, want[w], n, w)
	}
}

var plainWord = regexp.MustCompile(`[\p{L}\p{M}\p{Nd}]+('+[\p{L}\p{M}\p{Nd}]+)*`)

// randomText makes lines of words, some odd, and in each line a word that is nowhere else.
func randomText(r *rand.Rand, name string, n int) []string {
	some := []string{
		"the", "The", "THE", "tasklet", "don't", "'quoted'", "''", "a-b", "x1", "ÄÖÜ", "café", "cafe\u0301", "日本語", "\xff\xfe",
		"\t", "--", "1,000", "o''clock", "\r", "é", strings.Repeat("long", 15),
	}
	lines := make([]string, n)
	for i := range lines {
		words := []string{fmt.Sprintf("%s%d", name, i+1)}
		for range r.IntN(12) {
			words = append(words, some[r.IntN(len(some))])
		}
		lines[i] = strings.Join(words, " ")
	}
	return lines
}

// Whatever the text, the mailboxes, the number of parsers and the crashes: the counts are those of
// a plain loop over the lines that are not reported as lost.
func TestCountsAsAPlainLoop(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for seed := range 20 {
		dir := t.TempDir()
		all := map[string]string{} // what is in the line "file:number"
		var args, files []string
		for i := range 1 + draw.IntN(3) {
			file := filepath.Join(dir, fmt.Sprint(i, ".txt"))
			lines := randomText(draw, fmt.Sprintf("f%dline", i), draw.IntN(150))
			text := strings.Join(lines, "\n")
			if len(lines) > 0 && draw.IntN(2) == 0 {
				text += "\n"
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			for n, l := range lines {
				all[fmt.Sprint(file, ":", n+1)] = l
			}
			files = append(files, file)
		}
		crash := 0.0
		if seed%2 == 1 {
			crash = draw.Float64()
		}
		args = append(args, "-mailbox", fmt.Sprint(1<<draw.IntN(6)), "-parsers", fmt.Sprint(1+draw.IntN(5)),
			"-crash", fmt.Sprint(crash), "-seed", fmt.Sprint(seed))
		if draw.IntN(2) == 0 {
			args = append(args, dir)
		} else {
			args = append(args, files...)
		}
		var out, log strings.Builder
		status := run(append([]string{"-top", "1000000"}, args...), nil, &out, &log)
		got := read(t, out.String(), log.String())
		total := len(all)
		for _, lost := range got.lost {
			require.Contains(t, all, lost, "lost twice, or not in the text")
			delete(all, lost)
		}
		requireWords(t, plain(slices.Collect(maps.Values(all))...), got.words)
		require.Equal(t, total, got.lines+len(got.lost))
		require.Equal(t, len(got.lost) > 0, status == 1)
		// The log writes one entry a second for each parser, and counts the others.
		logged := 0
		for _, m := range logLost.FindAllStringSubmatch(got.log, -1) {
			require.Contains(t, got.lost, m[1])
			logged++
		}
		for _, m := range logHeld.FindAllStringSubmatch(got.log, -1) {
			held, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			logged += held
		}
		require.Equal(t, len(got.lost), logged, "failures in the log")
	}
}

// Text comes in pieces of any size, lines are as long as they like.
func TestReads(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	lines := randomText(draw, "n", 20)
	text := strings.Join(lines, "\r\n")
	long := strings.Repeat(strings.Join(randomText(draw, "n", 100), " ")+" ", 60)
	require.Greater(t, len(long), 2*maxLine)
	for name, test := range map[string]struct {
		in    io.Reader
		words map[string]int
		lines int
	}{
		"one byte":      {iotest.OneByteReader(strings.NewReader(text)), plain(lines...), 20},
		"half":          {iotest.HalfReader(strings.NewReader(text)), plain(lines...), 20},
		"data with EOF": {iotest.DataErrReader(strings.NewReader(text)), plain(lines...), 20},
		"empty":         {strings.NewReader(""), plain(), 0},
		"empty lines":   {strings.NewReader("\n\n \n"), plain(), 3},
		"long line":     {strings.NewReader("first\n" + long + "\nlast"), plain("first", long, "last"), 2 + len(long)/maxLine + 1},
		"long word":     {strings.NewReader(strings.Repeat("x", maxLine-1)), map[string]int{strings.Repeat("x", 60): 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := count(t, 0, test.in)
			requireWords(t, test.words, got.words)
			// of a long line, which is cut where words end
			require.InDelta(t, test.lines, got.lines, 1)
			require.Empty(t, got.log)
		})
	}
}

func TestOutput(t *testing.T) {
	var out, log strings.Builder
	text := strings.NewReader(strings.Repeat("the cat saw the dog\n", 20))
	require.Zero(t, run([]string{"-top", "2", "-mailbox", "2", "-parsers", "2", "-"}, text, &out, &log), log.String())
	require.Regexp(t, `^      40  the
      20  cat

words 100, different 4, lines 20, files 1
the reader met a full mailbox [1-9]\d* times, and waited \S+ for room
the aggregator took \d+ batches, the largest of 2 lines

wordcount      main      running
   aggregator  reader    finished  mailbox 0/2  peak 2  handled 20
   parser-1    receiver  finished  mailbox 0/2  peak 2  handled 10
   parser-2    receiver  finished  mailbox 0/2  peak 2  handled 10
   reader      task      finished
$`, out.String())
	require.Empty(t, log.String())
}

func TestVerbose(t *testing.T) {
	got := count(t, 0, strings.NewReader("a"), "-v")
	for _, want := range []string{"system started", "/wordcount/reader started", "/wordcount/parser-4 ended", "system stopped"} {
		require.Contains(t, got.log, want)
	}
}

// What can't be read is named, and the rest is counted.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good, binary := write("sub/good.txt", "good"), write("sub/binary", "bad\x00")
	write("sub/.hidden", "bad")
	write(".git/config", "bad")
	want := map[string]int{"good": 1}

	got := count(t, 0, nil, dir)
	require.Equal(t, want, got.words)
	require.Contains(t, got.out, ", files 1, left out as binary 1\n")

	missing := filepath.Join(dir, "missing")
	got = count(t, 1, nil, missing, good, binary)
	require.Equal(t, want, got.words)
	require.Equal(t, "wordcount: "+missing+": no such file or directory\nwordcount: "+binary+": is no text, it has a zero byte\n", got.log)

	broken := io.MultiReader(strings.NewReader("good\n"), iotest.ErrReader(errors.New("disk on fire")))
	got = count(t, 1, broken, "-")
	require.Equal(t, want, got.words)
	require.Equal(t, "wordcount: standard input: disk on fire, after line 1\n", got.log)

	if os.Geteuid() != 0 { // who may read everything
		secret := write("secret", "bad")
		require.NoError(t, os.Chmod(secret, 0))
		got = count(t, 1, nil, dir)
		require.Equal(t, "wordcount: "+secret+": permission denied\n", got.log)
	}
}

// An interrupt while standard input gives nothing more: the program ends, and says that its result
// is a part.
func TestInterrupt(t *testing.T) {
	const lines = 2000
	stdin := &endless{text: strings.NewReader(strings.Repeat("word\n", lines)), release: make(chan struct{})}
	defer close(stdin.release)
	ctx, cancel := context.WithCancel(context.Background())
	stdin.atEnd = cancel
	var out, log strings.Builder
	require.Equal(t, 130, runContext(ctx, []string{"-mailbox", "4"}, stdin, &out, &log))
	require.Contains(t, out.String(), "PARTIAL RESULT, the run ended early: context canceled\n")
	require.Contains(t, log.String(), "wordcount: interrupted\n")
	got := read(t, out.String(), log.String())
	require.Equal(t, got.lines, got.words["word"])
	m := leftOver.FindStringSubmatch(got.out)
	require.NotNil(t, m, got.out)
	left, _ := strconv.Atoi(m[1])
	require.Equal(t, lines, got.lines+left)
}

// endless is a terminal at which nobody types any more.
type endless struct {
	text    io.Reader
	atEnd   func()
	release chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.text.Read(p); err == nil {
		return n, nil
	}
	e.atEnd()
	<-e.release
	return 0, io.EOF
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-mailbox 0":    "-mailbox must be 1 to 1073741824\n",
		"-mailbox many": `invalid value "many" for flag -mailbox`,
		"-parsers 0":    "-parsers must be 1 to 1000\n",
		"-crash 1.1":    "-crash must be 0 to 1\n",
		"-crash NaN":    "-crash must be 0 to 1\n",
		"-top -1":       "-top must not be negative\n",
		"-seed -1":      `invalid value "-1" for flag -seed`,
		"-fast":         "flag provided but not defined: -fast\nusage: wordcount ",
	} {
		var out, log strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &log), args)
		require.Contains(t, log.String(), want)
		require.Empty(t, out.String())
	}
	var out, log strings.Builder
	require.Zero(t, run([]string{"-h"}, nil, &out, &log))
	require.Contains(t, log.String(), "usage: wordcount ")
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOutputClosedEarly(t *testing.T) {
	var log strings.Builder
	require.Equal(t, 1, run(nil, strings.NewReader("a"), brokenPipe{}, &log))
	require.Equal(t, "wordcount: io: read/write on closed pipe\n", log.String())
}
