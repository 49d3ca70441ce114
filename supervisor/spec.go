package supervisor

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// Strategy determines which children are restarted when a child fails.
type Strategy uint8

const (
	OneForOne  Strategy = iota // only the child
	OneForAll                  // all children; the others are stopped first
	RestForOne                 // the child and those that were started after it
)

// String returns the name as OTP writes it, such as one_for_one.
func (s Strategy) String() string {
	if s > RestForOne {
		return "strategy(?)"
	}
	return [...]string{"one_for_one", "one_for_all", "rest_for_one"}[s]
}

// Restart determines after which ends a child is restarted.
type Restart uint8

const (
	Permanent Restart = iota // always
	// Transient: after a failure, which is an error, a panic, or a kill not by the supervisor
	Transient
	Temporary // never; the specification is removed at its end
)

// String returns the name as OTP writes it, such as permanent.
func (r Restart) String() string {
	if r > Temporary {
		return "restart(?)"
	}
	return [...]string{"permanent", "transient", "temporary"}[r]
}

// AutoShutdown determines whether a supervisor ends by itself when significant children end. Only a
// significant child that ended by itself and is not restarted counts.
type AutoShutdown uint8

const (
	Never          AutoShutdown = iota
	AnySignificant              // when a significant child has ended
	AllSignificant              // when the last significant child has ended
)

// String returns the name as OTP writes it, such as any_significant.
func (a AutoShutdown) String() string {
	if a > AllSignificant {
		return "auto_shutdown(?)"
	}
	return [...]string{"never", "any_significant", "all_significant"}[a]
}

// Special values for Spec.Intensity, besides numbers.
const (
	NoRestart = -1          // no restart is allowed
	Unlimited = math.MaxInt // the supervisor never gives up; to be used with a Backoff
)

const (
	defaultIntensity = 1
	defaultPeriod    = 5 * time.Second

	defaultPoolShutdown = 5 * time.Second // that of actor.Shutdown
)

// Spec describes a supervisor. The zero values are OTP's defaults.
type Spec struct {
	Name     string // of its tasklet; if "", it is derived: "supervisor#n"
	Strategy Strategy
	// Intensity is the number of restarts that are allowed within Period. At one more the
	// supervisor gives up. 0 means the default, 1. NoRestart allows none. With Unlimited the
	// supervisor never gives up.
	Intensity int
	// Period is the window for Intensity. 0 means the default, 5 s. A restart that is exactly
	// Period old still counts. Only restarts within one Period add up, as in OTP: if the stop of a
	// child takes longer than Period, Intensity is never exceeded.
	Period time.Duration
	// Backoff delays restarts; the zero Backoff does not. Each delayed restart counts for Intensity
	// as well: with the default Intensity the supervisor gives up at the second failure within
	// Period. So choose an Intensity that is larger than the number of delayed restarts that fit
	// into Period, or Unlimited to retry forever.
	Backoff      Backoff
	AutoShutdown AutoShutdown
	Children     []Child // in order of start
	// LogEvery is the interval at which the tree below the supervisor is written to the log, at
	// level info; 0 means never. With the real clock a separate goroutine writes it, even while a
	// tasklet holds the scheduler. With a virtual clock the supervisor does.
	LogEvery time.Duration
}

// Child describes a child of a supervisor.
type Child struct {
	// ID identifies the child to the supervisor, and is a part of paths. It must be unique among
	// the children, and have no slash.
	ID string
	// Body is the work of the child. A body with a ref may be in one child only.
	Body    actor.Body
	Restart Restart
	// Shutdown is the time that the child has to end when it is stopped; see actor.Shutdown. 0
	// means 5 s, and actor.Infinity for a nested supervisor.
	Shutdown time.Duration
	// Significant children count for AutoShutdown. A significant child must not be Permanent, nor
	// in a supervisor with AutoShutdown Never.
	Significant bool
	// Retry is how often the message in hand at a crash is handled again by the next incarnation
	// before it is reported as lost. 0 means that it is lost at once.
	Retry int
	// Options are passed to the start. ID and Shutdown take precedence over the options Name and
	// Shutdown.
	Options []actor.Option
}

// Backoff determines the delay of restarts: Min after the first failure, and after each further one
// Factor times the last delay, at most Max. The actual delay is drawn from the last Jitter part of
// it. When a child has been up for ResetAfter, its next failure is a first one again. A child is up
// from the end of its start (of its init, if it has one) to its end. The zero Backoff restarts at
// once.
//
// A Backoff does not change what Spec.Intensity allows, which is 1 restart in 5 s by default.
type Backoff struct {
	// Max 0 means 30 s, or Min if that is longer; math.MaxInt64 means no limit
	Min, Max   time.Duration
	Factor     float64       // at least 1; 0 means 2
	Jitter     float64       // 0 to 1; 0 means none
	ResetAfter time.Duration // 0 means twice Max
}

// SpecError reports an invalid specification.
type SpecError struct {
	Child string // the ID of the child; "" if it has none, or for the supervisor itself
	// Field is the field in Go's notation: "Spec.Intensity", "Spec.Children[2].ID"; for a child
	// with an ID it is only the field of Child, such as "Body".
	Field string
	Rule  string // the rule that the field breaks
}

func (e *SpecError) Error() string {
	if e.Child != "" {
		return fmt.Sprintf("supervisor: child %q: %s %s", e.Child, e.Field, e.Rule)
	}
	return fmt.Sprintf("supervisor: %s %s", e.Field, e.Rule)
}

// Rules of SpecError for Child.Body.
const (
	refTaken = "reads a ref whose tasklet runs already"
	refDead  = "reads a dead ref"
)

func sameRef(other string) string {
	return fmt.Sprintf("reads the same ref as that of child %q", other)
}

// checked returns the spec with its defaults filled in, or a *SpecError.
func (s Spec) checked() (Spec, error) {
	bad := func(field, rule string) (Spec, error) { return s, &SpecError{Field: "Spec." + field, Rule: rule} }
	switch {
	case strings.Contains(s.Name, "/"):
		return bad("Name", "contains a slash")
	case s.Strategy > RestForOne:
		return bad("Strategy", "is not a strategy")
	case s.Intensity < NoRestart:
		return bad("Intensity", "is negative")
	case s.Period < 0:
		return bad("Period", "is negative")
	case s.AutoShutdown > AllSignificant:
		return bad("AutoShutdown", "is not a value of its type")
	case s.LogEvery < 0:
		return bad("LogEvery", "is negative")
	}
	if rule := s.Backoff.check(); rule != "" {
		return bad("Backoff", rule)
	}
	switch s.Intensity {
	case 0:
		s.Intensity = defaultIntensity
	case NoRestart:
		s.Intensity = 0
	}
	if s.Period == 0 {
		s.Period = defaultPeriod
	}
	s.Backoff = s.Backoff.filled()
	s.Children = slices.Clone(s.Children)
	ids := make(map[string]bool, len(s.Children))
	refs := make(map[any]string)
	for i := range s.Children {
		c := &s.Children[i]
		field := fmt.Sprintf("Children[%d]", i)
		if c.ID == "" {
			return bad(field+".ID", "is empty")
		}
		if ids[c.ID] {
			return s, &SpecError{Child: c.ID, Field: "ID", Rule: "is used by two children"}
		}
		ids[c.ID] = true
		if err := c.check(s.AutoShutdown); err != nil {
			return s, err
		}
		if ref, _ := actor.CheckSlot(c.Body); ref != nil {
			if other, ok := refs[ref]; ok {
				return s, &SpecError{Child: c.ID, Field: "Body", Rule: sameRef(other)}
			}
			refs[ref] = c.ID
		}
	}
	return s, nil
}

// check returns a *SpecError if the child is invalid.
func (c *Child) check(auto AutoShutdown) error {
	if c.ID == "" {
		return &SpecError{Field: "Child.ID", Rule: "is empty"}
	}
	return c.checkRest(auto)
}

// checkRest is check for a child that needs no ID.
func (c *Child) checkRest(auto AutoShutdown) error {
	bad := func(field, rule string) error { return &SpecError{Child: c.ID, Field: field, Rule: rule} }
	switch {
	case strings.Contains(c.ID, "/"):
		return bad("ID", "contains a slash")
	case c.Body == nil:
		return bad("Body", "is nil")
	case c.Restart > Temporary:
		return bad("Restart", "is not a restart type")
	case c.Shutdown < actor.Infinity:
		return bad("Shutdown", "is negative")
	case c.Retry < 0:
		return bad("Retry", "is negative")
	case c.Significant && c.Restart == Permanent:
		return bad("Significant", "is not possible for a permanent child, which is always restarted")
	case c.Significant && auto == Never:
		return bad("Significant", "has no meaning in a supervisor with AutoShutdown Never")
	}
	_, err := actor.CheckSlot(c.Body, c.Options...)
	if err == nil && c.Retry > 0 {
		if _, err := actor.CheckSlot(c.Body, actor.Retry(c.Retry)); err != nil {
			return bad("Retry", "is only for bodies that handle one message after the other")
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, actor.ErrRefTaken):
		return bad("Body", refTaken)
	case errors.Is(err, actor.ErrRefDead):
		return bad("Body", refDead)
	}
	return bad("Options", "don't fit: "+err.Error())
}

func (b Backoff) check() string {
	switch {
	case b.Min < 0 || b.Max < 0 || b.ResetAfter < 0:
		return "has a negative time"
	case b.Factor != 0 && !(b.Factor >= 1):
		return "has a Factor below 1"
	case !(b.Jitter >= 0 && b.Jitter <= 1):
		return "has a Jitter that is not between 0 and 1"
	case b.Max != 0 && b.Max < b.Min:
		return "has a Max below Min"
	}
	return ""
}

func (b Backoff) filled() Backoff {
	if b.Min == 0 && b.Max == 0 {
		return Backoff{}
	}
	if b.Max == 0 {
		b.Max = max(30*time.Second, b.Min)
	}
	if b.Min == 0 {
		b.Min = min(time.Millisecond, b.Max)
	}
	if b.Factor == 0 {
		b.Factor = 2
	}
	if b.ResetAfter == 0 {
		b.ResetAfter = b.Max + min(b.Max, math.MaxInt64-b.Max)
	}
	return b
}
