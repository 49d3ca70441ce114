// Package view is what package supervisor/inspector sees of a tree, and no user needs. Package
// supervisor/tree sets Look, so that the rows of the log and of a page have one source.
package view

import (
	"io"
	"iter"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// Look surveys t and all tasklets below it, and below the root of a system the daemons too. It may
// be called from any goroutine and waits for no tasklet. rates is a *tree.Rates, with which the
// survey is compared with the one before, or nil. Package supervisor/tree sets it.
var Look func(t *actor.Tasklet, rates any) Survey

// Survey is one walk over a tree. It is not changed after it was made, so any number of goroutines
// may use it. The places are numbered in pre-order.
type Survey interface {
	Len() int
	Now() time.Time // the time of the walk, on the clock of the system
	Place(i int) Place
	Task(i int) *actor.Tasklet // as Place has it
	Load(i int) Load
	Name(i int) string
	Kind(i int) string
	Oldest(i int) time.Duration // as Load has it, without the cost of the others
	// Mailbox returns nil if it has none, and for a supervisor, whose requests are not shown.
	Mailbox(i int) *mailbox.Stats
	Path(i int) string

	// Row adds the fields of the row of the i-th place, as the log has them.
	Row(i int, enc zapcore.ObjectEncoder) error
	// Summary adds the fields that the log has once for each tree, such as the number of tasklets.
	Summary(enc zapcore.ObjectEncoder)
	// Below returns the survey of the i-th place and what is below it.
	Below(i int) Survey
	// Cut returns the places that are shown, and folds that count the others.
	Cut(q Query) Shown
	// Write writes the text of tree.Write for what is shown. A width of 0 means no limit.
	Write(w io.Writer, s Shown, width int) error
	// Waits iterates over the places whose tasklets wait for another one, with the other one.
	Waits() iter.Seq2[int, *actor.Tasklet]
}

// Place is what is known of a place without making its row.
type Place struct {
	Task      *actor.Tasklet // nil for a child without one, and for the line of the daemons
	Slot      *actor.Slot    // nil if it is in no slot
	Parent    int            // -1 at the top
	Depth     int
	Rank      int // the number among its siblings
	Children  int
	Noise     int // how much attention the place needs; 0 means quiet
	State     string
	Scheduler int // -1 without a tasklet
	Restarts  int
	Full      bool // the mailbox is full
	Dropping  bool
	Restarted bool // within the last minute, or the period of its supervisor
	Killed    bool
	Daemons   bool // the line of the daemons, which is not a tasklet
}

// Load is how much a place has to do. Numbers that are not known are 0.
type Load struct {
	Rate   float64 // messages per second
	Busy   float64 // the part of the time that its handler takes
	Oldest time.Duration
	P99    time.Duration // of its handler
}

// Query says what is shown.
type Query struct {
	Limit int // the largest number of lines
	Skip  int // the number of children of the top that are not shown
	// Match selects the places that are shown, with all places above them; nil selects all.
	Match func(i int) bool
	// All shows the idle children of pools like other places, which are otherwise one line for each
	// pool.
	All bool
}

// Shown is a tree that was cut.
type Shown struct {
	Places []int // in pre-order
	Folds  []Fold
}

// Fold counts the places below a shown one that are not shown.
type Fold struct {
	Under int
	Count int
	Parts []Part // the loudest first
}

// Part is a number of a fold, such as 7 idle.
type Part struct {
	Word string
	N    int
}
