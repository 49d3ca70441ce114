package supervisor

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// The methods of these look at nothing but the error itself.
func init() {
	guard.Trust[*StartError]()
	guard.Trust[*FullError]()
}

// Errors of the calls at run time. They are OTP's.
var (
	ErrAlreadyStarted = errors.New("supervisor: a child with this ID is running")
	ErrAlreadyPresent = errors.New("supervisor: a child with this ID is there, stopped")
	ErrNotFound       = errors.New("supervisor: no child with this ID")
	ErrRunning        = errors.New("supervisor: the child is running")
	ErrRestarting     = errors.New("supervisor: the child is being restarted")
	// ErrIntensity is the result of a supervisor that gave up: more restarts than its Intensity
	// allows. It is a failure: a supervisor above restarts the one that gave up, also when it is
	// transient. (In OTP it is shutdown, which is none.)
	ErrIntensity = errors.New("supervisor: too many restarts")
)

// StartError says which child could not be started.
type StartError struct {
	ID  string
	Err error
}

// Error is the ID and the cause, on one line: what can't be printed is escaped.
func (e *StartError) Error() string {
	return text.Line(fmt.Sprintf("supervisor: start of child %q: %s", e.ID, guard.Text(e.Err)))
}

// Unwrap gives Err.
func (e *StartError) Unwrap() error { return e.Err }
