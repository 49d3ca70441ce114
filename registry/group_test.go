package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry"
)

func group[M any](t testing.TB, r *registry.Registry, name string) *registry.Group[M] {
	t.Helper()
	g, err := registry.NewGroup[M](r, name)
	require.NoError(t, err)
	return g
}
