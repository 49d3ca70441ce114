package registry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
)

// From many goroutines that register, take away, look up and end: a name never has two owners,
// nobody has one after its end, and the events are an account of it: for each name registered and
// lost in turn, for each group and ref joined and left.
func TestAccountOfARace(t *testing.T) {
	rounds := fewer(2000)
	// has is what the events say; they come in order, one at a time.
	has, member := map[string]bool{}, map[string]bool{}
	var wrong []string
	toggle := func(m map[string]bool, key string, on bool) {
		if m[key] == on {
			wrong = append(wrong, fmt.Sprint(key, on))
		}
		m[key] = on
	}
	cfg := actor.Config{Name: "sys", Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		switch e.Kind {
		case registry.EventNameRegistered, registry.EventNameLost:
			toggle(has, e.Fields[0].String, e.Kind == registry.EventNameRegistered)
		case registry.EventGroupJoined, registry.EventGroupLeft:
			toggle(member, e.Path, e.Kind == registry.EventGroupJoined)
		}
	}}
	s, err := actor.Start(cfg)
	require.NoError(t, err)
	r := registry.Of(s)
	g := group[int](t, r, "g")
	const names = 3
	var granted, taken, dead, unregistered atomic.Int64
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			ref := idle(s, actor.Name(fmt.Sprint(w, "-0")))
			for i := range rounds {
				name := fmt.Sprint(rnd.IntN(names))
				switch rnd.IntN(6) {
				case 0, 1:
					switch err := registry.Register(r, name, ref); {
					case err == nil:
						granted.Add(1)
					case errors.Is(err, registry.ErrTaken):
						taken.Add(1)
					case errors.Is(err, mailbox.ErrClosed):
						dead.Add(1)
					default:
						t.Error(err)
					}
				case 2:
					if r.Unregister(name) {
						unregistered.Add(1)
					}
				case 3:
					if _, err := registry.Lookup[int](r, name); err != nil && !errors.Is(err, registry.ErrNotFound) {
						t.Error(err)
					}
					r.Names()
				case 4:
					if rnd.IntN(2) == 0 {
						_ = g.Join(ref)
					} else {
						g.Leave(ref)
					}
					if got, err := g.Next(); err == nil {
						_ = got.TrySend(t.Context(), 1)
					}
				case 5:
					ref.Kill() // what follows meets its end
					if rnd.IntN(2) == 0 {
						_ = registry.Register(r, name, ref)
						_ = g.Join(ref)
						_ = ref.Join(t.Context())
						// Nobody has a name after the end.
						for n := range names {
							if got, err := registry.Lookup[int](r, fmt.Sprint(n)); err == nil && got == ref {
								t.Errorf("%v has a name after its end", ref)
							}
						}
						if _, err := g.ForKey("k"); err != nil && !errors.Is(err, registry.ErrNoMembers) {
							t.Error(err)
						}
					}
					ref = idle(s, actor.Name(fmt.Sprint(w, "-", i+1)))
				}
			}
			ref.Kill()
			_ = ref.Join(t.Context())
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(t.Context()))
	require.Empty(t, wrong)
	for key, on := range has {
		require.False(t, on, key)
	}
	for key, on := range member {
		require.False(t, on, key)
	}
	require.Empty(t, r.Names())
	require.Empty(t, g.Members())
	require.Zero(t, g.Kept())
	require.Zero(t, r.Holders())
	require.NotZero(t, granted.Load()*taken.Load()*unregistered.Load())
	t.Logf("granted %d, taken %d, refused to the dead %d, unregistered %d", granted.Load(), taken.Load(), dead.Load(), unregistered.Load())
}

// Labels agree with the names in the end, whatever raced.
func TestLabelsAfterARace(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		ref := idle(s)
		g, h := group[int](t, r, "g"), group[int](t, r, "h")
		for range 200 {
			var wg sync.WaitGroup
			for _, f := range []func(){
				func() { _ = registry.Register(r, "a", ref) }, func() { r.Unregister("a") },
				func() { _ = registry.Register(r, "b", ref) }, func() { r.Unregister("b") },
				func() { _ = g.Join(ref) }, func() { g.Leave(ref) },
				func() { _ = h.Join(ref) }, func() { h.Leave(ref) },
			} {
				wg.Go(f)
			}
			wg.Wait()
			want := map[string]string{}
			add := func(key, value string) {
				if want[key] != "" {
					value = want[key] + "," + value
				}
				want[key] = value
			}
			for _, n := range r.Names() {
				add("name", n)
			}
			for _, g := range []*registry.Group[int]{g, h} {
				if len(g.Members()) > 0 {
					add("groups", g.Name())
				}
			}
			got := ref.Tasklet().Info().Labels
			if len(want) == 0 {
				require.Empty(t, got)
			} else {
				require.Equal(t, want, got)
			}
		}
	})
}

// Of many who want one name at once, one gets it, and all others are told who.
func TestOneOwner(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		for round := range 100 {
			name := fmt.Sprint("n", round)
			var mu sync.Mutex
			var owner string
			var told []string
			var wg sync.WaitGroup
			for i := range 8 {
				ref := idle(s, actor.Name(fmt.Sprint(round, "-", i)))
				wg.Go(func() {
					err := registry.Register(r, name, ref)
					mu.Lock()
					defer mu.Unlock()
					var taken *registry.TakenError
					switch {
					case err == nil:
						if owner != "" {
							t.Error("two owners")
						}
						owner = ref.String()
					case errors.As(err, &taken):
						told = append(told, taken.Owner)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			require.Len(t, told, 7)
			for _, path := range told {
				require.Equal(t, owner, path)
			}
		}
	})
}
