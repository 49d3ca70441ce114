package inspector

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// clusterView returns what the nodes of this process know of their cluster: themselves, the links
// to the others, and who has which names and shards.
func (h *handler) clusterView(q url.Values) *result {
	r := &result{head: map[string]any{"system": fields.Name(h.sys.Name())}}
	var nodes, links []row
	if vitals.ClusterNodes != nil {
		for _, n := range vitals.ClusterNodes(h.sys) {
			nodes = append(nodes, nodeRow(n))
			for _, l := range n.Links {
				links = append(links, linkRow(n.Name, l))
			}
		}
		c := vitals.ClusterCountsOf(h.sys)
		traffic(r.head, "sent", c.Sent)
		traffic(r.head, "received", c.Received)
		r.head["again"] = c.Again
		refused := map[string]uint64{}
		for i, why := range vitals.ClusterReasons {
			if c.Refused[i] > 0 {
				refused[why] = c.Refused[i]
			}
		}
		r.head["refused"] = refused
	}
	r.head["nodes"], r.head["links"] = len(nodes), len(links)
	r.add("node_list", nodes[:min(len(nodes), defaultRows)])
	r.add("link_list", links[:min(len(links), defaultRows)])
	names, shards, n := h.clusterNames(strings.ToLower(q.Get("q")))
	r.head["names"] = n
	r.add("shard_list", shards)
	r.add("name_list", names)
	return r
}

func nodeRow(n vitals.ClusterNode) row {
	f := map[string]any{
		"node": n.Name, "incarnation": n.Incarnation, "state": n.State, "since_ms": n.Since.UnixMilli(),
		"lease_seconds": n.Lease.Seconds(), "names": n.Names, "singletons": n.Singletons, "shards": n.Shards,
	}
	addLabels(f, n.Labels)
	return row{n.Name, f}
}

func linkRow(at string, l vitals.ClusterLink) row {
	f := map[string]any{
		"at": at, "node": fields.Name(l.Node), "incarnation": l.Incarnation, "state": l.State, "for_seconds": l.For.Seconds(),
		"outboxes": l.Outboxes, "waiting": l.Waiting, "unconfirmed": l.Unconfirmed, "unconfirmed_bytes": l.UnconfirmedBytes,
		"calls": l.Calls, "queued": l.Queued, "again": l.Again, "refused": l.Refused,
	}
	traffic(f, "sent", l.Sent)
	traffic(f, "received", l.Received)
	if l.Cause != "" {
		f["error"] = fields.Name(l.Cause)
	}
	addLabels(f, l.Labels)
	return row{at + " " + l.Node, f}
}

func traffic(f map[string]any, way string, c vitals.ClusterTraffic) {
	f[way+"_messages"], f[way+"_frames"], f[way+"_bytes"] = c.Messages, c.Frames, c.Bytes
}

// addLabels adds the labels of a node as the log has them, not more than eight.
func addLabels(f map[string]any, labels map[string]string) {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys[:min(len(keys), 8)] {
		f["label_"+fields.Name(k)] = fields.Name(labels[k])
	}
}

// clusterNames returns the names with a part in them, without those of shards, then how many shards
// of each kind each node has, and the number of all names.
func (h *handler) clusterNames(part string) (names, shards []row, n int) {
	if vitals.ClusterNames == nil {
		return nil, nil, 0
	}
	type place struct {
		at, kind, node string
		member         bool
	}
	held := map[place]int{}
	var found []vitals.ClusterName // the first of those with the part, and some more
	cut := func() {
		slices.SortFunc(found, func(a, b vitals.ClusterName) int {
			return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Name, b.Name))
		})
		found = found[:min(len(found), defaultRows)]
	}
	vitals.ClusterNames(h.sys, func(c vitals.ClusterName) bool {
		if of, ok := strings.CutPrefix(c.Name, "shard/"); ok {
			held[place{c.At, of[:max(0, strings.LastIndexByte(of, '/'))], c.Node, c.Member}]++
			return true
		}
		if n++; part == "" || strings.Contains(strings.ToLower(c.Name), part) {
			if found = append(found, c); len(found) > 1000+2*defaultRows {
				cut()
			}
		}
		return true
	})
	cut()
	for _, c := range found {
		name, kind := c.Name, "name"
		if of, ok := strings.CutPrefix(name, "singleton/"); ok {
			name, kind = of, "singleton"
		}
		names = append(names, row{c.At + " " + c.Name, map[string]any{
			"at": c.At, "name": fields.Name(name), "kind": kind, "node": fields.Name(c.Node), "message": fields.Name(c.Type),
			"token": c.Token, "member": c.Member,
		}})
	}
	for p, k := range held {
		key := p.at + " " + p.kind + " " + p.node
		if !p.member { // also of an earlier incarnation of a node that has shards again
			key += " down"
		}
		shards = append(shards, row{key, map[string]any{
			"at": p.at, "kind": fields.Name(p.kind), "node": fields.Name(p.node), "shards": k, "member": p.member,
		}})
	}
	slices.SortFunc(shards, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	return names, shards[:min(len(shards), defaultRows)], n
}
