package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
)

// model is the registry, written obviously: maps and slices, and a search through all of them for
// everything.
type model struct {
	names   map[string]int // the number of the ref that has it
	members map[string][]int
	dead    map[int]bool
}

func (m *model) kill(ref int) {
	m.dead[ref] = true
	maps.DeleteFunc(m.names, func(_ string, owner int) bool { return owner == ref })
	for g := range m.members {
		m.leave(g, ref)
	}
}

func (m *model) leave(g string, ref int) {
	m.members[g] = slices.DeleteFunc(m.members[g], func(x int) bool { return x == ref })
}

// FuzzRegistry plays a script of commands on a registry and on a model, and compares all that can
// be seen after each. A command is two bytes: what, and to whom.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 0, 2, 0, 3, 0, 4, 0, 0, 0x10, 5, 1, 2, 1, 6, 0})
	f.Add([]byte{2, 0, 2, 1, 2, 2, 6, 0, 6, 0, 3, 1, 6, 0, 2, 0x31, 6, 0, 4, 2, 6, 0})
	f.Add([]byte{7, 0, 0, 0, 7, 0, 1, 0, 7, 0x20, 5, 3, 0, 0x23, 4, 3})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 400 {
			return
		}
		virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) { play(t, t0, r, script) })
	})
}

func play(t *testing.T, t0 *actor.Tasklet, r *registry.Registry, script []byte) {
	const refs = 16
	m := model{names: map[string]int{}, members: map[string][]int{}, dead: map[int]bool{}}
	all := make([]actor.Ref[int], refs)
	for i := range all {
		all[i] = idle(t0)
	}
	waiting := map[string]int{}
	found := map[string]int{}
	for ; len(script) >= 2; script = script[2:] {
		what, ref, name := script[0]%8, int(script[1]%refs), fmt.Sprint(script[1]/refs%4)
		g := group[int](t, r, name)
		switch what {
		case 0:
			err := registry.Register(r, name, all[ref])
			owner, taken := m.names[name]
			switch {
			case m.dead[ref]:
				require.ErrorIs(t, err, mailbox.ErrClosed)
			case taken && owner != ref:
				require.ErrorIs(t, err, registry.ErrTaken)
			default:
				require.NoError(t, err)
				m.names[name] = ref
			}
		case 1:
			_, taken := m.names[name]
			require.Equal(t, taken, r.Unregister(name))
			delete(m.names, name)
		case 2:
			err := g.Join(all[ref])
			switch {
			case m.dead[ref]:
				require.ErrorIs(t, err, mailbox.ErrClosed)
			case !slices.Contains(m.members[name], ref):
				m.members[name] = append(m.members[name], ref)
				fallthrough
			default:
				require.NoError(t, err)
			}
		case 3:
			g.Leave(all[ref])
			m.leave(name, ref)
		case 4:
			all[ref].Kill()
			_ = all[ref].Join(t0)
			m.kill(ref)
		case 5:
			if m.dead[ref] { // somebody else in its place
				all[ref], m.dead[ref] = idle(t0), false
			}
		case 6:
			got, err := g.ForKey(fmt.Sprint(ref))
			again, _ := g.ForKey(fmt.Sprint(ref))
			require.Equal(t, got, again)
			if members := m.members[name]; len(members) == 0 {
				require.ErrorIs(t, err, registry.ErrNoMembers)
			} else {
				seen := map[actor.Ref[int]]int{}
				for range members { // one round
					next, err := g.Next()
					require.NoError(t, err)
					seen[next]++
				}
				require.Len(t, seen, len(members))
				sent, err := g.Broadcast(t0, 1)
				require.NoError(t, err)
				require.Len(t, members, sent)
			}
		case 7:
			actor.Go(t0, func(k *actor.Tasklet) error {
				_, err := registry.WaitFor[int](k, r, name)
				found[name]++
				return err
			})
			waiting[name]++
		}
		for range 4 {
			t0.Yield()
		}
		compare(t, r, &m, all)
		for name := range m.names {
			require.Equal(t, waiting[name], found[name], name)
		}
	}
	for i := range 4 { // nobody waits for ever
		ref := idle(t0)
		name := fmt.Sprint(i)
		if err := registry.Register(r, name, ref); err != nil && !errors.Is(err, registry.ErrTaken) {
			require.NoError(t, err)
		}
	}
	for range 4 {
		t0.Yield()
	}
	require.Equal(t, waiting, found)
}

// compare looks at all names and groups.
func compare(t *testing.T, r *registry.Registry, m *model, all []actor.Ref[int]) {
	require.Equal(t, slices.Sorted(maps.Keys(m.names)), r.Names())
	for name, ref := range m.names {
		has(t, r, name, all[ref])
	}
	labels := make([]map[string]string, len(all))
	note := func(ref int, key, value string) {
		if labels[ref] == nil {
			labels[ref] = map[string]string{}
		}
		if labels[ref][key] != "" {
			value = labels[ref][key] + "," + value
		}
		labels[ref][key] = value
	}
	for _, name := range r.Names() {
		note(m.names[name], "name", name)
	}
	for _, name := range []string{"0", "1", "2", "3"} {
		var members []actor.Ref[int]
		for _, ref := range m.members[name] {
			members = append(members, all[ref])
			note(ref, "groups", name)
		}
		got := group[int](t, r, name).Members()
		require.Len(t, got, len(members))
		for i := range got {
			require.Equal(t, members[i], got[i])
		}
	}
	for i, ref := range all {
		if k := ref.Tasklet(); k != nil {
			require.Equal(t, labels[i], k.Info().Labels)
		}
	}
}

// The script of a fuzz target, drawn by chance, so that every run of the tests plays some.
func TestRandomScripts(t *testing.T) {
	for seed := range fewer(200) {
		virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) { play(t, t0, r, randomScript(uint64(seed))) })
		if t.Failed() {
			t.Fatalf("seed %d: %v", seed, randomScript(uint64(seed)))
		}
	}
}

func randomScript(seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	script := make([]byte, 200)
	for i := range script {
		script[i] = byte(rnd.Uint32())
	}
	return script
}
