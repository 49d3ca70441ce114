package registry_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
)

// BenchmarkLookup has 1,000,000 names, and look-ups from 8 goroutines, while another goroutine lets
// names come and go as fast as it can (come+go/s). "map" is a plain map under a sync.RWMutex,
// "quiet" the same without changes.
func BenchmarkLookup(b *testing.B) {
	const names = 1_000_000
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Stop(b.Context())) }()
	ref := idle(s)
	all := make([]string, names)
	for i := range all {
		all[i] = "name/" + strconv.Itoa(i)
	}

	look := func(b *testing.B, find func(name string) bool, change func(name string)) {
		for _, busy := range []bool{false, true} {
			b.Run(map[bool]string{false: "quiet", true: "changing"}[busy], func(b *testing.B) {
				var stop atomic.Bool
				var changer, lookers sync.WaitGroup
				changes := 0
				if busy {
					changer.Go(func() {
						for !stop.Load() {
							change("guest/" + strconv.Itoa(changes%1000))
							changes++
						}
					})
				}
				b.ReportAllocs()
				b.ResetTimer()
				for g := range 8 {
					lookers.Go(func() {
						// A step that has no factor in common with the number of names visits them
						// all, far from one another.
						at := g * names / 8
						for range b.N/8 + 1 {
							if !find(all[at]) {
								b.Error("not found")
								return
							}
							at = (at + 700_001) % names
						}
					})
				}
				lookers.Wait()
				b.StopTimer()
				stop.Store(true)
				changer.Wait()
				if busy {
					b.ReportMetric(float64(changes)/b.Elapsed().Seconds(), "come+go/s")
				}
			})
		}
	}

	b.Run("registry", func(b *testing.B) {
		r := registry.Of(s)
		for _, name := range all {
			require.NoError(b, registry.Register(r, name, ref))
		}
		look(b, func(name string) bool {
			_, err := registry.Lookup[int](r, name)
			return err == nil
		}, func(name string) {
			_ = registry.Register(r, name, ref)
			r.Unregister(name)
		})
	})
	b.Run("map", func(b *testing.B) {
		var mu sync.RWMutex
		m := make(map[string]actor.Ref[int], names)
		for _, name := range all {
			m[name] = ref
		}
		look(b, func(name string) bool {
			mu.RLock()
			defer mu.RUnlock()
			_, ok := m[name]
			return ok
		}, func(name string) {
			mu.Lock()
			m[name] = ref
			mu.Unlock()
			mu.Lock()
			delete(m, name)
			mu.Unlock()
		})
	})
}

// BenchmarkRegister is a name that comes and goes, of a ref of its own.
func BenchmarkRegister(b *testing.B) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Stop(b.Context())) }()
	r := registry.Of(s)
	ref := idle(s)
	b.ReportAllocs()
	for b.Loop() {
		_ = registry.Register(r, "name", ref)
		r.Unregister("name")
	}
}

// BenchmarkGroup is the choice of a member.
func BenchmarkGroup(b *testing.B) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Stop(b.Context())) }()
	r := registry.Of(s)
	for _, n := range []int{10, 100, 1000} {
		g := group[int](b, r, fmt.Sprint(n))
		crowd(b, s, g, n)
		bench := func(name string, choose func() (actor.Ref[int], error)) {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := choose(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		bench("Next", g.Next)
		bench("LeastLoaded", g.LeastLoaded)
		bench("ForKey", func() (actor.Ref[int], error) { return g.ForKey("customer/4711") })
	}
}
