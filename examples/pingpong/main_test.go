package main

import (
	"os"
	"path/filepath"
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

func TestWritesAProfile(t *testing.T) {
	var out, errs strings.Builder
	file := filepath.Join(t.TempDir(), "cpu.pprof")
	require.Zero(t, run([]string{"-n", "1000", "-cpuprofile", file}, nil, &out, &errs), errs.String())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "\x1f\x8b", string(text[:2]), "a profile is in gzip format")
	require.Equal(t, 1, run([]string{"-n", "1", "-cpuprofile", filepath.Join(file, "x")}, nil, &out, &errs))
	require.Contains(t, errs.String(), "pingpong: ")
}

// The profile is a profile, and small.
func TestDefaultProfile(t *testing.T) {
	text, err := os.ReadFile("default.pgo")
	require.NoError(t, err)
	require.Equal(t, "\x1f\x8b", string(text[:2]))
	require.Less(t, len(text), 100_000)
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
