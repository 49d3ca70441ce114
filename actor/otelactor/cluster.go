package otelactor

import (
	"time"

	"github.com/gotasklet/tasklet/internal/vitals"
)

// The values of the attributes of clusters. All of them are observed once a system has had a node,
// so that a query finds the 0 too.
var (
	nodeStates = [...]string{"member", "shut_out", "left"}
	linkStates = [...]string{"up", "suspect", "down"}
)

// tellCluster observes the numbers of the nodes of package registry/cluster, as soon as there has
// been one.
func (s *source) tellCluster(t teller) {
	if vitals.ClusterNodes == nil {
		return // the program has no such package
	}
	nodes := vitals.ClusterNodes(s.sys)
	if s.clustered = s.clustered || len(nodes) > 0; !s.clustered {
		return
	}
	byState, links := map[string]int64{}, map[string]int64{}
	var boxes, waiting, unconfirmed, queued, calls, names, singletons, shards int
	var lease time.Duration
	for i, n := range nodes {
		byState[n.State]++
		if i == 0 || n.Lease < lease {
			lease = n.Lease
		}
		names, singletons, shards = names+n.Names, singletons+n.Singletons, shards+n.Shards
		for _, l := range n.Links {
			links[l.State]++
			boxes, waiting, unconfirmed = boxes+l.Outboxes, waiting+l.Waiting, unconfirmed+l.Unconfirmed
			queued, calls = queued+l.Queued, calls+l.Calls
		}
	}
	for _, state := range nodeStates {
		t.int(clusterNodes, byState[state], s.one("state", state))
	}
	for _, state := range linkStates {
		t.int(clusterLinks, links[state], s.one("state", state))
	}
	if len(nodes) > 0 {
		t.float(clusterLease, lease.Seconds(), s.all)
	}
	t.int(clusterOutboxes, int64(boxes), s.all)
	t.int(clusterWaiting, int64(waiting), s.all)
	t.int(clusterUnconfirmed, int64(unconfirmed), s.all)
	t.int(clusterQueued, int64(queued), s.all)
	t.int(clusterCalls, int64(calls), s.all)
	t.int(clusterClaims, int64(names), s.one("of", "name"))
	t.int(clusterClaims, int64(singletons), s.one("of", "singleton"))
	t.int(clusterClaims, int64(shards), s.one("of", "shard"))

	c := vitals.ClusterCountsOf(s.sys)
	for _, way := range [...]struct {
		word string
		of   vitals.ClusterTraffic
	}{{"sent", c.Sent}, {"received", c.Received}} {
		set := s.one("direction", way.word)
		t.count(clusterMessages, way.of.Messages, set)
		t.count(clusterFrames, way.of.Frames, set)
		t.count(clusterBytes, way.of.Bytes, set)
	}
	t.count(clusterAgain, c.Again, s.all)
	for i, why := range vitals.ClusterReasons {
		t.count(clusterRefused, c.Refused[i], s.one("reason", why))
	}
}
