package entity

import (
	"errors"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/mailbox"
)

// A FullError reports that a set has Spec.MaxLive entities, of which none can be evicted, so that
// the message was not accepted. It is mailbox.ErrFull to errors.Is.
type FullError struct {
	Set   string // the path of the set
	Limit int    // Spec.MaxLive
}

// Error returns the path and the limit.
func (e *FullError) Error() string {
	return fmt.Sprintf("entity: %s is full: %d entities are live", e.Set, e.Limit)
}

// Is makes errors.Is(e, mailbox.ErrFull) true.
func (e *FullError) Is(target error) bool { return target == mailbox.ErrFull }

// A FailedError reports that an entity has failed more often than Spec.Intensity allows, and that
// its key is put aside, so that the message was not accepted. The error of a Call whose request was
// queued at that time is a FailedError, too.
type FailedError struct {
	Name  string    // the name of the entity: the label of its key
	Until time.Time // the key is put aside until then
	// Cause is the last failure, a *actor.JoinError. A tasklet that returns a FailedError has
	// failed, whatever the cause; see actor.KindOf.
	Cause error
}

// Error returns the name and the cause on one line. Characters that cannot be printed are
// escaped.
func (e *FailedError) Error() string {
	return text.Line(fmt.Sprintf("entity: %q is put aside because it has failed too often: %s", e.Name, guard.Text(e.Cause)))
}

// last returns the end of the last tasklet of the entity.
func (e *FailedError) last() actor.Exit {
	if j, ok := e.Cause.(*actor.JoinError); ok && j.Tasklet != nil {
		return actor.Exit{Tasklet: j.Tasklet, Path: j.Tasklet.Path(), Kind: actor.KindOf(j.Cause), Err: j.Cause}
	}
	return actor.Exit{Kind: reason.Error, Err: e.Cause}
}

// Unwrap returns e.Cause.
func (e *FailedError) Unwrap() error { return e.Cause }

// errOwn is the error of a Stop that would wait for its caller.
var errOwn = errors.New("entity: Stop by the entity itself, whose handler must return actor.ErrStop instead")

// The methods of these errors look only at the error itself.
func init() {
	guard.Trust[*FullError]()
	guard.Trust[*FailedError]()
}
