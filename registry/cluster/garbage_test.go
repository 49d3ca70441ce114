package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
)

// What stands in the directory and was written by no node of this package makes no member, no owner
// and no group, and disturbs nobody.
func TestGarbageInTheDirectory(t *testing.T) {
	const known = "00000000-0000-4000-8000-000000000001"
	values := []string{
		``, `null`, `{}`, `[]`, `7`, `"x"`, `{"incarnation":"` + known, "\x00\xff", `{"incarnation":"00000000-0000-0000-0000-000000000000"}`,
		`{"incarnation":` + strings.Repeat("[", 20_000) + `}`,
		`{"node":"","incarnation":"` + known + `","id":1}`,
		`{"node":"a\nb","incarnation":"` + known + `","id":1}`,
		`{"node":"a","incarnation":"` + known + `","id":-1}`,
		`{"node":"a","incarnation":"` + known + `","id":1e9}`,
		`{"incarnation":"` + known + `","since":"2026-01-01T00:00:00Z","labels":{"x":"` + strings.Repeat("y", 1<<20) + `"}}`,
		`{"incarnation":"` + known + `","groups":{"a\nb":[{"id":1}]}}`,
		`{"incarnation":"` + known + `","groups":{"g":[` + strings.Repeat(`{"id":1,"type":"test.say/1"},`, 6000) + `{"id":2}]}}`,
		`{"incarnation":"` + known + `","groups":{"g":{}}}`,
	}
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		got := 0
		ref, _ := claim(p, "here", func(*actor.Tasklet, say) error { got++; return nil })
		g, err := cluster.NewGroup[say](p.a, "g")
		require.NoError(p.tb, err)
		_, dir, err := p.net.Connect(t, cluster.Member{Name: "stranger"})
		require.NoError(p.tb, err)
		before := p.a.Members()
		for i, v := range values {
			for _, key := range []string{"node/", "node/x", "node/a b", "node/\x00", "name/", "name/x", "name/a\nb", "name/" + strings.Repeat("n", 300), "groups/", "groups/x", "groups/a\nb", "x", ""} {
				token, err := dir.Create(t, key, []byte(v), 0)
				require.NoError(p.tb, err)
				t.Sleep(time.Millisecond)
				_, err = dir.Update(t, key, []byte(v+" "), token, 0)
				require.NoError(p.tb, err)
				t.Sleep(10 * time.Millisecond)
				require.Equal(p.tb, before, p.a.Members(), "%d %q", i, key)
				_, err = cluster.Find[say](t, p.a, "x")
				require.ErrorIs(p.tb, err, registry.ErrNotFound, "%d %q", i, key)
				require.Empty(p.tb, g.Members(), "%d %q", i, key)
				_, token, err = dir.Get(t, key)
				require.NoError(p.tb, err)
				if key == "name/x" { // it does not bar the name
					c, err := cluster.Claim(t, p.a, "x", actor.NewRef[say]())
					require.NoError(p.tb, err, "%d", i)
					require.NoError(p.tb, c.Release(t))
					continue
				}
				require.NoError(p.tb, dir.Delete(t, key, token))
			}
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		// A member may write its own keys.
		of := func(format string) []byte {
			return []byte(strings.ReplaceAll(format, "known", p.b.Self().Incarnation.String()))
		}
		for key, v := range map[string]string{
			"name/x":   `{"node":"b","incarnation":"known","id":0}`,
			"name/y":   `{"node":"","incarnation":"known","id":1}`,
			"groups/b": `{"incarnation":"known","groups":{"g":[` + strings.Repeat(`{"id":1,"type":"test.say/1"},`, 6000) + `{"id":2}]}}`,
		} {
			_, err := dir.Create(t, key, of(v), 0)
			require.NoError(p.tb, err)
		}
		t.Sleep(time.Second)
		for _, name := range []string{"x", "y"} {
			_, err = cluster.Find[say](t, p.a, name)
			require.ErrorIs(p.tb, err, registry.ErrNotFound)
		}
		require.Empty(p.tb, g.Members())
		t.Sleep(time.Minute)
		require.Equal(p.tb, len(values), got)
		require.NoError(p.tb, p.a.Err())
		require.NoError(p.tb, p.b.Err())
	})
}
