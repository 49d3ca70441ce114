// Package worktest checks that a peer really does its work.
package worktest

import (
	"testing"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

// Tiny is about as small as a workload gets while it still has all its parts.
func Tiny(p work.Params) work.Params {
	if p.Actors > 200 {
		p.Actors = 200
		p.Step = min(p.Step, 200)
	}
	p.Busy = min(p.Busy, 10)
	return p.Scaled(1000 / float64(p.Operations))
}

// Test runs every workload that the peer has to do, in a tiny size, and checks that its actors have
// counted every operation.
func Test(t *testing.T, peer work.Peer) {
	for _, w := range work.Workloads {
		if !w.DoneBy(peer.Name) {
			if peer.Do[w.Name] != nil {
				t.Errorf("%s does %s, which is not asked of it", peer.Name, w.Name)
			}
			continue
		}
		for _, size := range w.Sizes {
			t.Run(w.Name+size.Label, func(t *testing.T) {
				p := Tiny(size.Params)
				r, err := peer.Run(w.Name, p)
				if err != nil {
					t.Fatal(err)
				}
				Check(t, w, p, r)
			})
		}
	}
}

// Check checks one result.
func Check(t *testing.T, w work.Workload, p work.Params, r work.Result) {
	t.Helper()
	if r.Done != p.Operations {
		t.Errorf("%s: %d operations of %d", w.Name, r.Done, p.Operations)
	}
	if r.NS <= 0 {
		t.Errorf("%s: took %v ns", w.Name, r.NS)
	}
	if w.Unit == work.Bytes && r.Bytes < 100*float64(p.Operations) {
		t.Errorf("%s: %v bytes for %d actors", w.Name, r.Bytes, p.Operations)
	}
	if r.Version == "" {
		t.Errorf("%s: no version", w.Name)
	}
}
