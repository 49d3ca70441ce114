package stack

import (
	"regexp"
	"runtime/debug"
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
