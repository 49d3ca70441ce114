package inspector_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// What package registry/cluster, which is a module of its own, says of a system with this name.
func init() {
	const hostile = "<b>\u202e\x1b[31m"
	mine := func(sys any) bool { return sys.(*actor.System).Name() == "clustered" }
	vitals.ClusterNodes = func(sys any) []vitals.ClusterNode {
		if !mine(sys) {
			return nil
		}
		return []vitals.ClusterNode{{
			Name: "a", Incarnation: "1", State: "member", Lease: 9 * time.Second, Names: 1, Shards: 2,
			Links: []vitals.ClusterLink{{
				Node: "b", Incarnation: "2", Labels: map[string]string{hostile: hostile}, State: "suspect", For: 4 * time.Second,
				Outboxes: 3, Waiting: 1, Unconfirmed: 7, UnconfirmedBytes: 900, Calls: 2, Queued: 5, Again: 6,
				Sent: vitals.ClusterTraffic{Messages: 10, Frames: 2, Bytes: 1000},
			}, {Node: "c", State: "down", Cause: hostile}},
		}}
	}
	vitals.ClusterNames = func(sys any, yield func(vitals.ClusterName) bool) {
		if sys.(*actor.System).Name() == "crowded" {
			for i := range 5000 {
				if !yield(vitals.ClusterName{At: "a", Name: fmt.Sprintf("n%04d", i*7%5000), Node: "b"}) {
					return
				}
			}
		}
		if !mine(sys) {
			return
		}
		for _, n := range []vitals.ClusterName{
			{At: "a", Name: "shard/cart/0", Node: "a", Member: true}, {At: "a", Name: "shard/cart/1", Node: "a", Member: true},
			{At: "a", Name: "shard/cart/2", Node: "b"}, {At: "a", Name: "singleton/Sweeper", Node: "b", Token: 4, Member: true},
			{At: "a", Name: "account/42", Node: "b", Type: "bank.deposit/1", Member: true}, {At: "a", Name: hostile, Node: "b"},
		} {
			if !yield(n) {
				return
			}
		}
	}
	vitals.ClusterCountsOf = func(sys any) (c vitals.ClusterCounts) {
		if mine(sys) {
			c.Sent.Messages, c.Refused[1] = 10, 3
		}
		return c
	}
}

func TestCluster(t *testing.T) {
	sys := system(t, actor.Config{Name: "clustered"})
	h := inspector.Handler(sys)
	o := get(t, h, "cluster")
	require.Equal(t, []any{1.0, 2.0, 3.0}, []any{o["nodes"], o["links"], o["names"]})
	require.Equal(t, map[string]any{"session": 3.0}, o["refused"])
	require.EqualValues(t, 10, o["sent_messages"])
	node := list(o, "node_list")[0]
	require.Equal(t, []any{"a", "member", 9.0, 1.0, 2.0}, []any{node["node"], node["state"], node["lease_seconds"], node["names"], node["shards"]})
	links := list(o, "link_list")
	require.Len(t, links, 2)
	for key, want := range map[string]any{
		"at": "a", "node": "b", "state": "suspect", "for_seconds": 4.0, "outboxes": 3.0, "waiting": 1.0, "unconfirmed": 7.0,
		"unconfirmed_bytes": 900.0, "calls": 2.0, "queued": 5.0, "again": 6.0, "sent_messages": 10.0, "received_frames": 0.0,
	} {
		require.Equal(t, want, links[0][key], key)
	}
	require.Equal(t, "down", links[1]["state"])
	require.NotEmpty(t, links[1]["error"])
	require.Equal(t, []map[string]any{
		{"at": "a", "kind": "cart", "node": "a", "shards": 2.0, "member": true},
		{"at": "a", "kind": "cart", "node": "b", "shards": 1.0, "member": false},
	}, list(o, "shard_list"))
	names := list(o, "name_list")
	require.Len(t, names, 3)
	one := list(get(t, h, "cluster?q=sweep"), "name_list")
	require.Len(t, one, 1)
	require.Equal(t, map[string]any{
		"at": "a", "name": "Sweeper", "kind": "singleton", "node": "b", "message": "", "token": 4.0, "member": true,
	}, one[0])
	body := do(h, request(http.MethodGet, mount+"api/cluster")).Body.String()
	for _, bad := range []string{"\u202e", "\x1b", "<b>"} {
		require.NotContains(t, body, bad)
	}
	require.NotEmpty(t, refused(t, h, request(http.MethodGet, mount+"api/cluster?state=idle"), 400))
	require.Zero(t, get(t, inspector.Handler(system(t, actor.Config{})), "cluster")["nodes"])

	crowded := inspector.Handler(system(t, actor.Config{Name: "crowded"}))
	o = get(t, crowded, "cluster")
	require.EqualValues(t, 5000, o["names"])
	names = list(o, "name_list")
	require.Len(t, names, 200)
	require.Equal(t, []any{"n0000", "n0199"}, []any{names[0]["name"], names[199]["name"]})
	names = list(get(t, crowded, "cluster?q=N499"), "name_list")
	require.Len(t, names, 10)
	require.Equal(t, "n4990", names[0]["name"])
}
