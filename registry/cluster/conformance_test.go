package cluster_test

import (
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/registry/cluster/internal/conformance"
)

// conforming returns what the behaviours need in a test: what fails in them is meant to.
func conforming(lost *conformance.Lost) []actortest.Option {
	return []actortest.Option{
		actortest.Allow(event.DeadLetter), actortest.Allow(event.Failure), actortest.Allow(event.Exit), actortest.Allow(event.Deadlock),
		actortest.Configure(func(c *actor.Config) { c.OnEvent = lost.OnEvent }),
	}
}

// Both ends of one system, without nodes: this is what the others are compared with.
func TestConformanceInOneSystem(t *testing.T) {
	conformance.Test(t, false, func(t *testing.T, f func(*conformance.Place)) {
		lost := new(conformance.Lost)
		actortest.Run(t, func(t *actor.Tasklet) {
			side := &conformance.Side{Registry: registry.Of(t.System())}
			f(&conformance.Place{T: t, TB: actortest.TB(t), Here: side, There: side, Lost: lost})
		}, conforming(lost)...)
	})
}

// onTwoNodes makes two nodes over a network.
func onTwoNodes(t *actor.Tasklet, f clustertest.Faults, lost *conformance.Lost) *conformance.Place {
	p := newPair(t, f)
	return &conformance.Place{
		T: t, TB: p.tb, Lost: lost, Pass: 2 * time.Second,
		Here:  &conformance.Side{Node: p.a},
		There: &conformance.Side{Node: p.b, Do: func(_ *actor.Tasklet, f func(*actor.Tasklet)) { p.do(f) }},
	}
}

func TestConformanceOnTwoNodes(t *testing.T) {
	conformance.Test(t, true, func(t *testing.T, f func(*conformance.Place)) {
		lost := new(conformance.Lost)
		actortest.Run(t, func(t *actor.Tasklet) { f(onTwoNodes(t, clustertest.Faults{}, lost)) }, conforming(lost)...)
	})
}

// The same over a network that loses, doubles and delays frames, in several orders of tasklets.
func TestConformanceOverABadNetwork(t *testing.T) {
	bad := clustertest.Faults{Loss: 0.1, Double: 0.1, Delay: 30 * time.Millisecond}
	conformance.Test(t, true, func(t *testing.T, f func(*conformance.Place)) {
		lost := new(conformance.Lost)
		actortest.Explore(t, 3, func(t *actor.Tasklet) {
			lost.Reset()
			f(onTwoNodes(t, bad, lost))
		}, conforming(lost)...)
	})
}
