package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlays(t *testing.T) {
	for _, n := range []string{"1", "2", "10001"} {
		var out, errs strings.Builder
		require.Zero(t, run([]string{"-n", n}, nil, &out, &errs), errs.String())
		require.Empty(t, errs.String())
		require.Regexp(t, `^receivers: `+n+` messages in \S+, \d+ a second
readers: `+n+` messages in \S+, \d+ a second
$`, out.String())
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-n 0":   "-n must be at least 1",
		"-n x":   `invalid value "x" for flag -n`,
		"-speed": "flag provided but not defined: -speed",
		"ball":   "there are no arguments",
	} {
		var out, errs strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
	}
	var out, errs strings.Builder
	require.Zero(t, run([]string{"-h"}, nil, &out, &errs))
	require.Contains(t, errs.String(), "how many messages")
}
