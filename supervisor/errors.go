package supervisor

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// The methods of these errors look only at the error itself.
func init() {
	guard.Trust[*StartError]()
	guard.Trust[*fullError]()
}

// Errors of the calls at run time. They are OTP's.
var (
	ErrAlreadyStarted = errors.New("supervisor: a child with this ID is running")
	ErrAlreadyPresent = errors.New("supervisor: a child with this ID is there, stopped")
	ErrNotFound       = errors.New("supervisor: no child with this ID")
	ErrRunning        = errors.New("supervisor: the child is running")
	ErrRestarting     = errors.New("supervisor: the child is being restarted")
	// ErrIntensity is the result of a supervisor that gave up, because it had more restarts than
	// its Intensity allows. It is a failure: a supervisor above restarts the one that gave up, also
	// if it is transient. (In OTP it ends with shutdown, which is no failure.)
	ErrIntensity = errors.New("supervisor: too many restarts")
)

// StartError reports that a child could not be started.
type StartError struct {
	ID  string
	Err error
}

// Error returns the ID and the cause on one line. Characters that cannot be printed are escaped.
func (e *StartError) Error() string {
	return text.Line(fmt.Sprintf("supervisor: start of child %q: %s", e.ID, guard.Text(e.Err)))
}

// Unwrap returns e.Err.
func (e *StartError) Unwrap() error { return e.Err }
