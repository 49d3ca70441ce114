package cluster

import (
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
)

// Kinds of events. The strings are the values of the key "event" in log entries.
var (
	EventNodeUp      = event.New("node_up", zap.InfoLevel)
	EventNodeSuspect = event.New("node_suspect", zap.WarnLevel)
	EventNodeDown    = event.New("node_down", zap.WarnLevel)
	EventShardMoved  = event.New("shard_moved", zap.InfoLevel)
	EventClaimWon    = event.New("claim_won", zap.InfoLevel)
	EventClaimLost   = event.New("claim_lost", zap.InfoLevel)
)

func (n *Node) emit(kind event.Kind, err error, fields ...zap.Field) {
	n.sys.Emit(actor.EventRecord{Kind: kind, Tasklet: n.t, Err: err, Fields: append(fields, zap.String("self", n.cfg.Name))})
}
