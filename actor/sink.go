package actor

import (
	"reflect"
	"sync/atomic"
	"time"
)

// sink is the log or OnEvent.
type sink struct {
	broken atomic.Bool  // it is not called again
	away   atomic.Bool  // it was called and has not returned in time
	missed atomic.Int64 // the number of events that it missed
}

// sinkPatience is the time that a sink may take for one event before it is skipped. simPatience is
// the same in a simulation, whose course must not depend on the load of the machine.
const (
	sinkPatience = time.Second
	simPatience  = 20 * time.Second
)

func (v *events) patience() time.Duration {
	if v.sys.sim != nil {
		return simPatience
	}
	return sinkPatience
}

// pureLevel reports whether the core's Enabled calls only code of zap and the standard library.
func pureLevel(core reflect.Value) bool {
	for core.Kind() == reflect.Interface {
		core = core.Elem()
	}
	if !core.IsValid() {
		return true
	}
	switch core.Type().String() {
	case "zapcore.nopCore", "*slog.defaultHandler", "slog.Level", "*slog.LevelVar":
		return true
	case "zapcore.Level", "zap.AtomicLevel", "*zap.AtomicLevel":
		return true
	case "*zapcore.ioCore", "*observer.contextObserver":
		return pureLevel(core.Elem().FieldByName("LevelEnabler"))
	case "zapcore.multiCore":
		for i := range core.Len() {
			if !pureLevel(core.Index(i)) {
				return false
			}
		}
		return true
	case "actor.clockCore":
		return pureLevel(core.FieldByName("Core"))
	case "actor.slogCore":
		return pureLevel(core.FieldByName("h"))
	case "*slog.JSONHandler", "*slog.TextHandler":
		common := core.Elem().FieldByName("commonHandler")
		return common.IsValid() && pureLevel(common.Elem().FieldByName("opts").FieldByName("Level"))
	}
	return false
}
