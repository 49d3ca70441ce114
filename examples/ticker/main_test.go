package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVirtual(t *testing.T) {
	for range 3 { // the same every time
		var out, errs strings.Builder
		require.Zero(t, run([]string{"-virtual"}, nil, &out, &errs))
		require.Empty(t, errs.String())
		require.Equal(t, `
   0 ms  /ticker/heart    beat 1
 230 ms  /ticker/heart    beat 2
 250 ms  /ticker/camera   frame 1
 260 ms  /ticker/heart    failed and goes on: missed a beat
 460 ms  /ticker/heart    beat 3
 500 ms  /ticker/camera   frame 2
 690 ms  /ticker/heart    beat 4
 750 ms  /ticker/camera   frame 3
 900 ms  /ticker/doctor   kills the heart
 900 ms  /ticker/doctor   ended: normal
 900 ms  /ticker/heart    ended: killed
1000 ms  /ticker/camera   frame 4
1250 ms  /ticker/camera   frame 5
1500 ms  /ticker/camera   frame 6
1620 ms  /ticker/camera   ended: normal
1620 ms  /ticker          4 beats, 6 frames
`, "\n"+out.String())
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-fast": "flag provided but not defined: -fast",
		"tick":  "there are no arguments",
	} {
		var out, errs strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
	}
}
