package stack

import (
	"bytes"
	"context"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func caught(depth int) (s *Stack, text string) {
	defer func() {
		recover()
		s, text = Here(), string(debug.Stack())
	}()
	dive(depth)
	return nil, ""
}

//go:noinline
func dive(depth int) {
	if depth == 0 {
		panic("deep")
	}
	dive(depth - 1)
}

// A Stack has the calls that debug.Stack has, in the same form, however many they are.
func TestStackIsThatOfDebug(t *testing.T) {
	calls := func(text string) (list []string) {
		for _, m := range regexp.MustCompile(`(?m)^(\S+)\(.*\)\n\t(\S+:\d+)`).FindAllStringSubmatch(text, -1) {
			list = append(list, m[1]+" "+m[2])
		}
		return list
	}
	for _, depth := range []int{0, 10, 60, 61, 62, 63, 64, 90} {
		s, text := caught(depth)
		want := calls(text)
		for i, c := range want {
			if strings.HasPrefix(c, "panic ") {
				want = want[i:]
				break
			}
		}
		got := calls(s.String())
		for i, c := range got {
			if strings.HasPrefix(c, "panic ") {
				got = got[i:]
				break
			}
		}
		require.Greater(t, len(want), depth+2)
		if depth < 60 { // debug.Stack leaves out the middle of a deep one
			// the last is the call that began the goroutine: "created by"
			require.Equal(t, want[:depth+3], got[:depth+3])
		} else {
			require.Equal(t, depth+1, strings.Count(s.String(), "stack.dive("))
		}
	}
}

func TestTextOfNoStack(t *testing.T) {
	var s *Stack
	require.Equal(t, "", s.String())
	require.Nil(t, Text(nil))
	require.Equal(t, "a\nb\n", Text([]byte("a\nb")).String())
}

// A group of a goroutine profile has the same calls in the form of debug.Stack, and no label.
func TestTidy(t *testing.T) {
	var text string
	pprof.Do(context.Background(), pprof.Labels("kind", "x"), func(context.Context) {
		var buf bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&buf, 1))
		for group := range strings.SplitSeq(buf.String(), "\n\n") {
			if strings.Contains(group, "stack.TestTidy.") {
				text = group
			}
		}
	})
	require.Contains(t, text, `"kind":"x"`)
	tidy := string(Tidy([]byte(text)))
	require.Regexp(t, `\Agoroutine \[running\]:\n(\S+\(\.\.\.\)\n\t\S+:\d+ \+0x[0-9a-f]+\n)+\z`, tidy)
	require.Equal(t, strings.Count(text, "\n#\t"), strings.Count(tidy, "\n\t"))
	for _, call := range []string{"internal/stack.TestTidy(...)\n", "internal/stack.TestTidy.func1(...)\n", "runtime/pprof.Do(...)\n"} {
		require.Contains(t, tidy, call)
	}

	for _, other := range []string{"", "goroutine 7 [running]:\nmain.f()\n\tf.go:1 +0x1\n", "1 @ 0x1 0x2\n"} {
		require.Equal(t, other, string(Tidy([]byte(other))))
	}
}
