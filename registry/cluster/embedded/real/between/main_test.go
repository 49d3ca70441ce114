package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	for i := range works {
		works[i].first /= 20
	}
	var out strings.Builder
	folder := t.TempDir()
	require.NoError(t, measure(&out, 1, time.Millisecond, folder))
	assert.Equal(t, 2+len(works), strings.Count(out.String(), "\n"), out.String())
	assert.Contains(t, out.String(), "1.00 (1.00 to 1.00)")
	t.Log("\n" + out.String())
	profiles, err := filepath.Glob(filepath.Join(folder, "*-*"))
	require.NoError(t, err)
	assert.Len(t, profiles, 3*len(works))
}

func TestChoose(t *testing.T) {
	all := works
	defer func() { works = all }()
	choose("call, 1 caller")
	require.Len(t, works, 2)
	assert.Equal(t, []string{all[3].name, all[4].name}, []string{works[0].name, works[1].name})
	assert.Equal(t, []int{0, 0}, []int{works[0].base, works[1].base})
	works = slices.Clone(all)
	choose("")
	assert.Len(t, works, len(all))
}
