package service

import (
	"sync"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// EndWith makes the end of part the end of the program, also while main still runs. When part has
// finished, for whatever reason, [Run] writes why to the log and does what it does after a signal:
// it drains the system, so that the other parts finish their work. The first signal after that
// changes nothing, and a second one ends the drain. The exit code is 1 if part has failed, for
// example because a supervisor gave up, and also if not everything is drained in time.
//
//	top, err := supervisor.Start(t, spec)
//	if err != nil {
//		return err
//	}
//	service.EndWith(top.Tasklet())
//
// EndWith may be called for several parts, and the first end counts. It never parks, and may be
// called from any goroutine. An end that has been already counts too. part is one incarnation, so
// it should not be a child of a supervisor, which may restart it. In a system that Run does not
// run, as in a test of main, EndWith has no effect except for a warning in the log. It panics if
// part is nil.
func EndWith(part *actor.Tasklet) {
	if part == nil {
		panic("service: EndWith of a nil *actor.Tasklet")
	}
	e := endings.Of(part.System())
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.first == nil {
		say(func() {
			logOf(part.System()).Warn("EndWith has no effect: service.Run does not run this system", zap.String("event", "end_with_ignored"))
		})
		return
	}
	if _, again := e.parts[part]; again || e.over {
		return
	}
	e.parts[part] = struct{}{}
	go func() {
		_ = part.Join(outside)
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.parts, part)
		e.ended(part)
	}()
}

// endings has the parts of each system whose end is the end of the program.
var endings = actor.NewExtension(func(*actor.System) *ending { return &ending{parts: make(map[*actor.Tasklet]struct{})} })

// ending is what Run and the calls of EndWith in one system share.
type ending struct {
	mu    sync.Mutex
	first chan *actor.Tasklet         // takes the part that has ended first; nil without Run
	parts map[*actor.Tasklet]struct{} // those that have a goroutine which waits for them
	over  bool                        // the end has begun, so that the parts end because of it
}

// ended begins the end of the program because of part. mu must be held.
func (e *ending) ended(part *actor.Tasklet) {
	if !e.over {
		e.over = true
		e.first <- part
	}
}

// mainEnded is called in the root when main has ended, before the stop of its children. It looks
// for a part that has ended before it, and whose goroutine has not yet said so.
func (e *ending) mainEnded() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for part := range e.parts {
		if exit, over := part.Exit(); over && exit.Kind.Failure() {
			e.ended(part)
		}
	}
	e.over = true
}
