package tree

import (
	"bufio"
	"io"
	"iter"
	"slices"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/view"
	"github.com/gotasklet/tasklet/mailbox"
)

func init() {
	view.Look = func(t *actor.Tasklet, rates any) view.Survey {
		r, _ := rates.(*Rates)
		return viewed{look(t, r)}
	}
}

// viewed is a survey as package view has it.
type viewed struct{ w *survey }

func (v viewed) Len() int       { return len(v.w.nodes) }
func (v viewed) Now() time.Time { return v.w.now }

func (v viewed) Place(i int) view.Place {
	n := &v.w.nodes[i]
	p := view.Place{
		Task: n.task, Parent: int(n.parent), Depth: int(n.depth), Rank: int(n.rank), Children: int(n.children),
		Noise: int(n.noise), State: n.state.String(), Scheduler: -1, Full: n.flags&flagFull != 0,
		Dropping: n.flags&flagDropping != 0, Restarted: n.flags&flagRestarted != 0,
		Killed: n.flags&flagKilled != 0, Daemons: n.collected,
	}
	if n.task != nil {
		p.Scheduler = int(n.scheduler)
	}
	if n.child != nil {
		p.Slot, p.Restarts = n.child.slot, n.child.Restarts
	}
	return p
}

func (v viewed) Load(i int) (l view.Load) {
	n := &v.w.nodes[i]
	if n.task == nil || n.over != nil {
		return l
	}
	if t, ok := stats.Of(n.task); ok && t.Calls > 0 {
		l.P99 = t.Handler.Quantile(0.99)
	}
	if v.w.rates != nil {
		r := Row{Tasklet: n.task}
		v.w.rates.fill(&r)
		l.Rate, l.Busy, l.Oldest = r.Rate, r.Busy, r.Oldest
	}
	return l
}

func (v viewed) Oldest(i int) time.Duration {
	n := &v.w.nodes[i]
	if n.task == nil || n.over != nil || v.w.rates == nil {
		return 0
	}
	if c := v.w.rates.now.tasks[n.task]; c != nil {
		return c.oldest
	}
	return 0
}

func (v viewed) Name(i int) string {
	n := &v.w.nodes[i]
	switch {
	case n.collected:
		return "(daemons)"
	case n.task != nil:
		return n.task.Name()
	case n.child.slot != nil:
		return n.child.slot.Info().Name
	}
	return n.child.ID
}

func (v viewed) Kind(i int) string { return v.w.nodes[i].kind() }

func (v viewed) Mailbox(i int) *mailbox.Stats {
	switch n := &v.w.nodes[i]; {
	case n.collected || n.over != nil:
		return nil
	case n.task != nil:
		return n.task.Glance().Mailbox
	default:
		return n.child.mailbox()
	}
}

func (v viewed) Task(i int) *actor.Tasklet { return v.w.nodes[i].task }

func (v viewed) Path(i int) string {
	if t := v.w.nodes[i].task; t != nil {
		return t.Path()
	}
	return v.w.row(i).Path
}

func (v viewed) Row(i int, enc zapcore.ObjectEncoder) error {
	o := rowObject{Row: v.w.row(i)}
	return o.MarshalLogObject(enc)
}

func (v viewed) Summary(enc zapcore.ObjectEncoder) {
	if len(v.w.nodes) == 0 {
		return
	}
	f := treeField{survey: v.w}
	if v.w.nodes[0].task != nil {
		f.head(enc, func(string) bool { return false })
	} else {
		enc.AddString("system", fields.Name(v.w.sys.Name()))
		enc.AddString("path", fields.Name(v.Path(0)))
	}
	f.numbers(enc)
}

func (v viewed) Below(i int) view.Survey {
	if i == 0 && len(v.w.nodes) > 0 && v.w.end(0) == len(v.w.nodes) {
		return v
	}
	return viewed{v.w.below(i)}
}

func (v viewed) Cut(q view.Query) view.Shown {
	want := q.Match
	if q.Skip > 0 {
		want = v.w.from(q.Skip, q.Match)
	}
	s := v.w.foldFor(q.Limit, want, q.All)
	shown := view.Shown{Places: s.nodes}
	for i := range s.folds {
		f := &s.folds[i]
		out := view.Fold{Under: f.under, Count: f.count}
		f.parts(func(word string, n int) { out.Parts = append(out.Parts, view.Part{Word: word, N: n}) })
		shown.Folds = append(shown.Folds, out)
	}
	return shown
}

func (v viewed) Write(w io.Writer, s view.Shown, width int) error {
	l := layout{width: width}
	cut := shown{nodes: s.Places}
	if len(s.Folds) > 0 {
		in := make([]bool, len(v.w.nodes))
		for _, i := range s.Places {
			in[i] = true
		}
		cut.folds = v.w.folds(in)
	}
	l.write(v.w, cut)
	b := bufio.NewWriter(w)
	for _, line := range l.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.Flush()
}

func (v viewed) Waits() iter.Seq2[int, *actor.Tasklet] {
	return func(yield func(int, *actor.Tasklet) bool) {
		for _, w := range v.w.waits {
			if !yield(int(w.node), w.on) {
				return
			}
		}
	}
}

// wait is a tasklet that waits for another one.
type wait struct {
	node int32
	on   *actor.Tasklet
}

// end returns the index after the last place below the i-th one.
func (w *survey) end(i int) int {
	depth := w.nodes[i].depth
	for j := i + 1; j < len(w.nodes); j++ {
		if w.nodes[j].depth <= depth {
			return j
		}
	}
	return len(w.nodes)
}

// below returns the survey of the i-th place and what is below it.
func (w *survey) below(i int) *survey {
	end := w.end(i)
	s := &survey{now: w.now, sys: w.sys, rates: w.rates, nodes: slices.Clone(w.nodes[i:end])}
	if p := w.nodes[i].parent; p >= 0 && w.nodes[p].task != nil {
		s.above = w.path(int(p))
	}
	depth := s.nodes[0].depth
	for j := range s.nodes {
		n := &s.nodes[j]
		n.parent = max(-1, n.parent-int32(i))
		n.depth -= depth
		if n.task != nil {
			s.live++
		}
		if n.state == Stalled {
			s.stalled++
		}
		if n.over != nil {
			s.total += n.over.Total
		}
		if n.flags&flagDropping != 0 {
			s.dropped += n.lost()
		}
	}
	s.nodes[0].parent = -1
	for j, fault := range w.faults {
		if j >= i && j < end {
			if s.faults == nil {
				s.faults = make(map[int]string)
			}
			s.faults[j-i] = fault
		}
	}
	for _, x := range w.waits {
		if int(x.node) >= i && int(x.node) < end {
			s.waits = append(s.waits, wait{x.node - int32(i), x.on})
		}
	}
	return s
}

// lost returns the number of messages that the mailbox of n has dropped.
func (n *node) lost() uint64 {
	if n.task != nil {
		if m := n.task.Glance().Mailbox; m != nil {
			return m.Dropped
		}
	} else if m := n.child.mailbox(); m != nil {
		return m.Dropped
	}
	return 0
}

// from returns a function that selects the places that match selects, or all if it is nil, without
// the first skip children of the top and what is below them.
func (w *survey) from(skip int, match func(i int) bool) func(i int) bool {
	first := len(w.nodes) // the first place that is not skipped
	for i := 1; i < len(w.nodes); i++ {
		if n := &w.nodes[i]; n.depth == 1 && n.rank >= int32(skip) {
			first = i
			break
		}
	}
	return func(i int) bool { return i >= first && (match == nil || match(i)) }
}
