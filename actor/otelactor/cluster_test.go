package otelactor_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// clusters has what the nodes of systems know, as package registry/cluster has it, which is a
// module of its own.
var clusters sync.Map // of *actor.System to cluster

type cluster struct {
	nodes  []vitals.ClusterNode
	counts vitals.ClusterCounts
}

func init() {
	of := func(sys any) cluster {
		c, _ := clusters.LoadOrStore(sys, cluster{})
		return c.(cluster)
	}
	vitals.ClusterNodes = func(sys any) []vitals.ClusterNode { return of(sys).nodes }
	vitals.ClusterCountsOf = func(sys any) vitals.ClusterCounts { return of(sys).counts }
}

// twoNodes is a node that knows another one.
func twoNodes() cluster {
	c := cluster{nodes: []vitals.ClusterNode{{
		Name: "a", State: "member", Lease: 9 * time.Second, Names: 3, Singletons: 1, Shards: 32,
		Links: []vitals.ClusterLink{
			{Node: "b", State: "up", Outboxes: 5, Waiting: 1, Unconfirmed: 12, Queued: 4, Calls: 2},
			{Node: "c", State: "down"},
		},
	}, {
		Name: "d", State: "member", Lease: 7 * time.Second,
		Links: []vitals.ClusterLink{{Node: "b", State: "up", Outboxes: 1, Unconfirmed: 1}},
	}}}
	c.counts.Sent = vitals.ClusterTraffic{Messages: 100, Frames: 20, Bytes: 3000}
	c.counts.Received = vitals.ClusterTraffic{Messages: 90, Frames: 19, Bytes: 2900}
	c.counts.Again = 3
	c.counts.Refused[1] = 2
	return c
}

func TestCluster(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	m, err := otelactor.NewMetrics(provider)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	sys, err := actor.Start(actor.Config{Name: "shop", Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { require.NoError(t, sys.Stop(context.Background())) }()
	require.NoError(t, m.Add(sys))

	// collect returns the values by metric and attribute, without the other metrics.
	collect := func() map[string]float64 {
		var data metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(context.Background(), &data))
		all := map[string]float64{}
		for _, x := range data.ScopeMetrics[0].Metrics {
			const prefix = "tasklet.cluster."
			if len(x.Name) < len(prefix) || x.Name[:len(prefix)] != prefix {
				continue
			}
			key := func(kv string) string { return x.Name[len(prefix):] + kv }
			switch d := x.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					label := ""
					for _, kv := range p.Attributes.ToSlice() {
						if kv.Key != "system" {
							label = " " + kv.Value.AsString()
						}
					}
					all[key(label)] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				all[key("")] = d.DataPoints[0].Value
			}
		}
		return all
	}
	require.Empty(t, collect(), "the system has no node")
	clusters.Store(sys, twoNodes())
	want := map[string]float64{
		"nodes member": 2, "nodes shut_out": 0, "nodes left": 0, "lease": 7,
		"links up": 2, "links suspect": 0, "links down": 1,
		"outboxes": 6, "outboxes.waiting": 1, "unconfirmed": 13, "queued": 4, "calls": 2,
		"claims name": 3, "claims singleton": 1, "claims shard": 32,
		"messages sent": 100, "messages received": 90, "frames sent": 20, "frames received": 19,
		"bytes sent": 3000, "bytes received": 2900, "frames.again": 3,
		"frames.refused version": 0, "frames.refused session": 2, "frames.refused frame": 0, "frames.refused protocol": 0,
		"frames.refused overrun": 0, "frames.refused unknown_node": 0, "frames.refused flood": 0,
	}
	require.Equal(t, want, collect())

	// The node has left: the counts stay, and what is now is 0.
	left := twoNodes()
	left.nodes = nil
	clusters.Store(sys, left)
	for key := range want {
		switch key {
		case "nodes member", "links up", "links down", "outboxes", "outboxes.waiting", "unconfirmed", "queued", "calls",
			"claims name", "claims singleton", "claims shard":
			want[key] = 0
		}
	}
	delete(want, "lease")
	require.Equal(t, want, collect())
}
