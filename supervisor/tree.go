package supervisor

import (
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// LogTree writes the tree below t as one entry.
func LogTree(logger *zap.Logger, t *actor.Tasklet) {}
