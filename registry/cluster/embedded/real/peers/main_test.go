package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/internal/between"
)

func TestMain(m *testing.M) {
	if os.Getenv(between.RoleEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	var out strings.Builder
	require.NoError(t, measure(&out, 1, sizes{messages: 5000, window: 100, calls: map[int]int{1: 20, 64: 640}}))
	assert.Equal(t, 2+len(kinds(0))+1+5, strings.Count(out.String(), "\n"), out.String())
	assert.Contains(t, out.String(), "1.00 (1.00 to 1.00)")
	t.Log("\n" + out.String())
}
