package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// play runs the program and gives its account.
func play(t *testing.T, args ...string) (books, string) {
	t.Helper()
	var out, errs strings.Builder
	require.Zero(t, run(args, nil, &out, &errs), "%s%s", out.String(), errs.String())
	require.Empty(t, errs.String())
	var b books
	for line := range strings.Lines(out.String()) {
		switch {
		case strings.Contains(line, " for somebody: "):
			_, err := fmt.Sscanf(line, "%d for somebody: %d sent, %d refused", &b.offered, &b.sent, &b.refused)
			require.NoError(t, err)
		case strings.Contains(line, " sent: "):
			_, err := fmt.Sscanf(line, "%d sent: %d handled, %d dead letters, %d lost", &b.sent, &b.handled, &b.deadLetters, &b.lost)
			require.NoError(t, err)
		}
	}
	return b, out.String()
}

// Over many seeds and sizes no message is unaccounted for, and the same seed gives the same.
func TestAccount(t *testing.T) {
	for seed := 1; seed <= 10; seed++ {
		for _, size := range []string{"-workers 4 -keys 100 -kill 3", "-workers 9 -keys 1000 -kill 20", "-workers 2 -keys 3 -kill 1"} {
			args := append(strings.Fields(size), "-messages", "1000", "-virtual", "-seed", fmt.Sprint(seed))
			b, out := play(t, args...)
			require.Equal(t, b.offered, b.sent+b.refused, out)
			require.Equal(t, b.sent, b.handled+b.deadLetters+b.lost, out)
			require.NotZero(t, b.handled, out)
			require.NotZero(t, b.deadLetters+b.lost, out)
			require.Contains(t, out, "is stopped permanently")
			_, again := play(t, args...)
			require.Equal(t, out, again)
		}
	}
}

// The keys of a worker that is restarted stay; without kills none moves and nothing is lost.
func TestKeysStick(t *testing.T) {
	b, out := play(t, "-virtual", "-kill", "0")
	require.Contains(t, out, "\n0 keys moved\n")
	require.Equal(t, b.sent, b.handled)
	_, out = play(t, "-virtual", "-kill", "5")
	require.Equal(t, 4, strings.Count(out, "and restarted"))
	require.Regexp(t, `\n[1-9]\d keys moved away from worker-\d\n$`, out)
}

// Nobody is left: all that follows is refused.
func TestNobodyLeft(t *testing.T) {
	b, out := play(t, "-virtual", "-workers", "1", "-kill", "1", "-messages", "1000")
	require.Regexp(t, `\n  \d+ no worker\n`, out)
	require.Equal(t, b.sent, b.handled+b.deadLetters+b.lost)
	_, out = play(t, "-virtual", "-messages", "0")
	require.Contains(t, out, "0 for somebody: 0 sent, 0 refused\n")
}

// In real time the numbers differ, and the account is right all the same.
func TestRealTime(t *testing.T) {
	b, out := play(t, "-messages", "400", "-workers", "2", "-kill", "2")
	require.Equal(t, b.sent, b.handled+b.deadLetters+b.lost, out)
}

// A message that nobody reports is found.
func TestCheck(t *testing.T) {
	for want, b := range map[string]books{
		"1 messages are neither sent nor refused":        {offered: 3, sent: 1, refused: 1, handled: 1},
		"2 messages are neither handled nor reported":    {offered: 5, sent: 5, handled: 1, deadLetters: 1, lost: 1},
		"1 keys moved away from workers that were there": {strayed: 1},
	} {
		require.EqualError(t, b.check(), want)
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-workers 0":   "-workers and -keys are 1 or more",
		"-keys 0":      "-workers and -keys are 1 or more",
		"-messages -1": "-messages and -kill 0 or more",
		"-kill -1":     "-messages and -kill 0 or more",
		"-seed 0":      "-seed is not 0",
		"-workers x":   `invalid value "x" for flag -workers`,
		"-rout":        "flag provided but not defined: -rout",
		"away":         "there are no arguments",
	} {
		var out, errs strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
	}
}
