package tree

import "time"

// TextWidth is the number of columns of a text.
var TextWidth = textWidth

// LimitCalls sets how long a look waits for a call of Describe, until undo is called.
func LimitCalls(d time.Duration) (undo func()) {
	before := callLimit
	callLimit = d
	return func() { callLimit = before }
}

const MaxLooked = maxLooked

// Kept returns the number of tasklets whose counters r keeps.
func (r *Rates) Kept() int { return len(r.last.tasks) }
