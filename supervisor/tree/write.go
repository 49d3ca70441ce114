package tree

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// An Option changes how [Write] and [Log] write a tree.
type Option func(*layout)

// Width fits a tree to a terminal with this number of columns, at least 20. 0 means no limit, as
// does the absence of the option. Long names are cut, less important numbers are left out, and
// pieces that still do not fit go to a line of their own below.
func Width(columns int) Option {
	if columns != 0 {
		columns = max(columns, 20)
	}
	return func(l *layout) { l.width = columns }
}

// MaxRows limits a tree to n lines, at least 4, including the lines of folds. The default is 200.
// The line at the top does not count, nor do lines that a narrow Width breaks.
func MaxRows(n int) Option { return func(l *layout) { l.rows = max(n, 4) } }

// MaxBytes limits an entry of [Log] to about n bytes, at least 2 KiB, by folding more rows. The
// default is 8 KiB, because collectors of logs cut or refuse long lines. 0 means no limit except
// MaxRows. It does not count the fields that the logger has of its own. For Write it has no effect.
func MaxBytes(n int) Option {
	if n > 0 {
		n = max(n, 2<<10)
	}
	return func(l *layout) { l.bytes = max(n, 0) }
}

// AsText makes [Log] write the text of [Write] instead of the array, in the field "text" as one
// string, to encoders that get the array otherwise. For Write it has no effect.
func AsText() Option { return func(l *layout) { l.asText = true } }

// Write writes t and all tasklets below it as text for people: a summary line, and a line for each
// tasklet. Rows that do not fit into MaxRows are folded, those that need no attention first. Write
// returns the error of w. It may be called from any goroutine and waits for no tasklet; see
// [Snapshot].
func Write(w io.Writer, t *actor.Tasklet, opts ...Option) error {
	l := layout{rows: defaultRows}
	for _, o := range opts {
		o(&l)
	}
	s := look(t, l.rates)
	l.write(s, s.fold(l.rows))
	b := bufio.NewWriter(w)
	for _, line := range l.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.Flush()
}

// layout is a text in the making.
type layout struct {
	width, rows int
	bytes       int  // of an entry; 0 means any number
	asText      bool // in an entry
	rates       *Rates
	lines       []string
	cols        [4]int // widths: name, mark, kind, state
}

// textRow is a row of the text before it is laid out.
type textRow struct {
	// stem is the part of the tree's lines in front of the name, and under the part in front of
	// continuation lines.
	stem, under string
	name        string
	mark        string
	kind        string
	state       piece   // or the strategy
	pieces      []piece // the rest of the row
}

// piece is a part of a row that is not broken: words, and between them possibly a name that can be
// cut.
type piece struct {
	pre, name, post string
	rank            int8 // 0 must be shown; of the others, the highest rank is left out first
	end             bool // cut the name at its end, and not at its beginning
}

func (p piece) String() string { return p.pre + p.name + p.post }
func (p piece) width() int     { return textWidth(p.String()) }

// maxCols has the largest widths of the columns. A longer text pushes the rest of its row to the
// right.
var maxCols = [4]int{44, 10, 14, 18}

// tableWidth is the smallest width at which the rows form a table.
const tableWidth = 80

// write lays out what is shown of w.
func (l *layout) write(w *survey, s shown) {
	if len(s.nodes) == 0 {
		return
	}
	table := l.width == 0 || l.width >= tableWidth
	rows := l.textRows(w, s, table)
	if table {
		for i := range rows {
			r := &rows[i]
			for c, n := range [4]int{
				textWidth(r.stem + r.name), textWidth(r.mark), textWidth(r.kind), r.state.width(),
			} {
				if n <= maxCols[c] {
					l.cols[c] = max(l.cols[c], n)
				}
			}
		}
	}
	l.fill(w.header(), "  ", " ")
	for i := range rows {
		l.row(&rows[i])
	}
	for i := range s.folds {
		l.fill([]piece{{pre: w.foldText(&s.folds[i])}}, "  ", sep)
	}
}

// header returns the summary of w.
func (w *survey) header() []piece {
	ps := []piece{{pre: "supervision tree "}}
	add := func(word string, n uint64, always bool) {
		if n > 0 || always {
			ps = append(ps, piece{pre: word + "=" + strconv.FormatUint(n, 10)})
		}
	}
	ps = append(ps, piece{pre: "system=", name: cutEnd(text.Key(w.sys.Name()), 100)})
	n := w.numbers()
	add("tasklets", uint64(w.live), true)
	add("restarts", uint64(w.total), true)
	add("stalled", uint64(w.stalled), true)
	add("restarting", uint64(n.states[Restarting]), false)
	add("stopping", uint64(n.states[Stopping]), false)
	add("full", uint64(n.full), false)
	add("dropped", w.dropped, false)
	if d := w.over(); d > 0 {
		ps = append(ps, piece{pre: "rates_over=" + span(d)})
	}
	return ps
}

// over returns the time that the rates are about, or 0 if there are none.
func (w *survey) over() time.Duration {
	if w.rates == nil {
		return 0
	}
	return w.rates.over
}

// numbers returns the counts of all places.
func (w *survey) numbers() (f fold) {
	for i := range w.nodes {
		f.add(&w.nodes[i])
	}
	return f
}

// foldText returns the line of a fold.
func (w *survey) foldText(f *fold) string {
	return fmt.Sprintf("(+%d more under %s, %s)", f.count, w.place(f.under), f)
}

// place returns the path of the i-th place relative to the top.
func (w *survey) place(i int) string {
	n := &w.nodes[i]
	if n.collected {
		return "(daemons)"
	}
	path := cell(w.row(i).Path, 1000)
	if n.parent < 0 {
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	top := &w.nodes[0]
	if top.task == nil {
		return strings.TrimPrefix(path, "/")
	}
	if rel, ok := strings.CutPrefix(path, cell(top.task.Path(), 1000)+"/"); ok {
		return rel
	}
	return strings.TrimPrefix(path, "/")
}

// textRows returns the rows, with the lines of the tree in front of them.
func (l *layout) textRows(w *survey, s shown, table bool) []textRow {
	fork, last, bar, gap := "├─ ", "└─ ", "│  ", "   "
	if !table {
		fork, last, bar, gap = "├ ", "└ ", "│ ", "  "
	}
	rows := make([]textRow, len(s.nodes))
	ends := make([]bool, len(s.nodes)) // the place is the last shown one of its siblings
	open := map[int32]bool{}
	for k := len(s.nodes) - 1; k >= 0; k-- {
		p := w.nodes[s.nodes[k]].parent
		ends[k] = !open[p]
		open[p] = true
	}
	var stems []string // of each level, the lines that continue below
	for k, i := range s.nodes {
		r := &rows[k]
		depth := int(w.nodes[i].depth)
		l.describe(r, w.row(i))
		if depth == 0 {
			stems = append(stems[:0], "")
		} else {
			above := stems[depth-1]
			stems = stems[:depth]
			if ends[k] {
				r.stem = above + last
				stems = append(stems, above+gap)
			} else {
				r.stem = above + fork
				stems = append(stems, above+bar)
			}
		}
		r.under = stems[depth]
		if w.nodes[i].children > 0 && k+1 < len(s.nodes) && int(w.nodes[s.nodes[k+1]].depth) == depth+1 {
			r.under += bar
		} else {
			r.under += gap
		}
		if room := l.width / 3; l.width > 0 && textWidth(r.stem) > room {
			// Too deep for this width: the level replaces the lines of the tree.
			r.stem = strconv.Itoa(depth) + last
			r.under = gap
		}
	}
	return rows
}

// describe fills t with the words for r.
func (l *layout) describe(t *textRow, r Row) {
	t.name = cell(r.Name, 200)
	// Only the line of the daemons and those of folds begin like this.
	if r.Tasklet != nil && (strings.HasPrefix(t.name, "(+") || strings.HasPrefix(t.name, "(daemons)")) {
		t.name = `\x28` + t.name[1:]
	}
	t.kind = cell(r.Kind, 40)
	add := func(rank int8, p piece) {
		p.rank = rank
		t.pieces = append(t.pieces, p)
	}
	switch recent := r.restarted(); {
	case r.State == Stalled, r.State == Restarting:
		t.mark = strings.ToUpper(r.State.String())
	case recent:
		t.mark = "RESTARTED"
	}
	state := r.stateText()
	if s := r.Supervision; s != nil {
		if s.Strategy == "" {
			t.kind += " " + strconv.Itoa(s.Children)
		}
		t.state = piece{pre: cell(s.Strategy, 40), rank: 1}
		switch r.State {
		case Idle, Ready, Running:
		default:
			add(0, state)
		}
		if s.Note != "" {
			add(0, piece{pre: cell(s.Note, 80)})
		}
		add(1, piece{pre: "up " + ago(s.Up)})
		rank := int8(1)
		if s.Restarts > 0 {
			rank = 0
		}
		if s.Max == unlimited {
			add(rank, piece{pre: fmt.Sprintf("restarts %d unlimited", s.Total)})
		} else {
			text := fmt.Sprintf("restarts %d/%d", s.Restarts, s.Max)
			if s.Period > 0 {
				text += " in " + period(s.Period)
			}
			add(rank, piece{pre: text})
		}
	} else {
		t.state = state
	}
	if m := r.Mailbox; m != nil {
		full := m.Cap > 0 && m.Len >= m.Cap
		text, rank := "mailbox "+strconv.Itoa(m.Len)+"/"+strconv.Itoa(m.Cap), int8(2)
		if m.Cap == 0 {
			text = "mailbox " + strconv.Itoa(m.Len) + "/∞"
		}
		if m.Len > 0 {
			rank = 1
		}
		if full {
			text, rank = text+" FULL", 0
			if m.FullFor > 0 {
				text += " for " + span(m.FullFor)
			}
		} else if m.Peak > m.Len && m.Peak > 1 {
			text += " peak " + strconv.Itoa(m.Peak)
		}
		if m.Closed {
			text += " closed"
		}
		add(rank, piece{pre: text})
		if m.Waiting > 0 {
			add(0, piece{pre: strconv.Itoa(m.Waiting) + " waiting to send"})
		}
		if r.Oldest > 0 {
			add(1, piece{pre: "oldest >= " + ago(r.Oldest)})
		}
		if r.showsRate() {
			add(2, piece{pre: strconv.FormatFloat(digits(r.Rate), 'f', -1, 64) + "/s"})
		}
		if m.Handled > 0 {
			add(4, piece{pre: "handled " + strconv.FormatUint(m.Handled, 10)})
		}
		if m.Dropped > 0 {
			add(0, piece{pre: "dropped " + strconv.FormatUint(m.Dropped, 10)})
		}
	}
	if r.Callers == 1 {
		add(0, piece{pre: "1 caller waiting"})
	} else if r.Callers > 0 {
		add(0, piece{pre: strconv.Itoa(r.Callers) + " callers waiting"})
	}
	if r.Joiners > 0 {
		add(1, piece{pre: strconv.Itoa(r.Joiners) + " waiting to join"})
	}
	if m := r.Timing; m != nil && m.Calls > 0 {
		if r.Over > 0 {
			add(2, piece{pre: "busy " + strconv.Itoa(int(math.Round(100*r.Busy))) + "%"})
		}
		if m.Handler.Count > 0 {
			add(3, piece{pre: "calls p50 " + short(m.Handler.Quantile(0.5)) + " p99 " + short(m.Handler.Quantile(0.99))})
		}
	}
	if m := r.Timing; m != nil && m.Mailbox.Max > 0 {
		add(3, piece{pre: "waits p50 " + short(m.Mailbox.Quantile(0.5)) + " p99 " + short(m.Mailbox.Quantile(0.99))})
	}
	if r.showsLast() {
		rank := int8(0)
		add(rank, piece{pre: "last: ", name: cell(guard.Text(r.Last), 120), post: " (" + ago(r.LastAgo) + " ago)", end: true})
	}
	if r.Fault != "" {
		add(0, piece{pre: "Describe ", name: cell(r.Fault, 200), end: true})
	}
	if r.elsewhere {
		add(2, piece{pre: "on scheduler " + strconv.Itoa(r.Scheduler)})
	}
	if r.Killed > 0 {
		add(0, piece{pre: "killed " + ago(r.Killed) + " ago"})
	}
	for i, k := range labelKeys(r.Labels) {
		if i == maxLabels {
			add(3, piece{pre: fmt.Sprintf("(+%d more labels)", len(r.Labels)-i)})
			break
		}
		add(3, piece{pre: cutEnd(text.Key(k), 40) + "=", name: cell(r.Labels[k], 100), end: true})
	}
}

// restarted reports whether r is shown as restarted.
func (r *Row) restarted() bool {
	return r.Restarts > 0 && r.LastAgo > 0 && r.LastAgo <= max(restartedFor, r.window)
}

func (r *Row) showsLast() bool {
	return r.Last != nil && (r.restarted() || r.State == Restarting || r.State == Stopped)
}

func labelKeys(labels map[string]string) []string {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// stateText returns the state in words.
func (r *Row) stateText() piece {
	switch r.State {
	case Stalled:
		p := piece{pre: "busy " + span(r.For)}
		if r.Message != nil {
			p.pre, p.name = p.pre+" on ", cell(r.Message.String(), 100)
		}
		return p
	case Restarting:
		if r.Until > 0 {
			return piece{pre: "restarting in " + span(r.Until)}
		}
	case Sleeping:
		if r.Until > 0 {
			return piece{pre: "sleeping " + span(r.Until)}
		}
	case Parked, Starting:
		if r.Wait == "" {
			break
		}
		p := piece{pre: "parked " + span(r.For) + " in " + r.Wait}
		if r.State == Starting {
			p.pre = "starting, " + p.pre
		}
		if r.On != "" {
			p.pre, p.name = p.pre+" ", cell(r.On, 200)
		}
		return p
	}
	return piece{pre: r.State.String()}
}

const sep = "  "

// row lays r out. First it tries a line of columns, then one without the less important pieces, and
// then it breaks the line.
func (l *layout) row(r *textRow) {
	if l.width == 0 {
		l.lines = append(l.lines, l.line(r, 9, nil))
		return
	}
	for rank := int8(9); rank >= 0; rank-- {
		if s := l.line(r, rank, nil); textWidth(s) <= l.width {
			l.lines = append(l.lines, s)
			return
		}
	}
	// The next attempt is with shorter names that can still be recognized.
	cut := *r
	cut.name = cutMiddle(r.name, max(8, l.width*2/5-textWidth(r.stem)))
	least := 2
	if l.width >= tableWidth {
		least = 4
	}
	for part := 2; part <= least; part++ {
		long := func(p piece) int { return max(10, l.width/part-textWidth(p.pre)-textWidth(p.post)) }
		for rank := int8(1); rank >= 0; rank-- {
			if s := l.line(&cut, rank, long); textWidth(s) <= l.width {
				l.lines = append(l.lines, s)
				return
			}
		}
	}
	l.broken(&cut)
}

// line returns r as one line, with the pieces up to rank. Names are cut to the lengths that long
// returns.
func (l *layout) line(r *textRow, rank int8, long func(piece) int) string {
	var b strings.Builder
	width := 0 // the width of the line so far
	want := 0  // where the next column begins
	put := func(s string, col int) {
		if s != "" {
			if width > 0 {
				n := max(len(sep), want-width)
				b.WriteString(strings.Repeat(" ", n))
				width += n
			}
			b.WriteString(s)
			width += textWidth(s)
		}
		if col > 0 {
			want += col + len(sep)
		}
	}
	put(r.stem+r.name, l.cols[0])
	put(r.mark, l.cols[1])
	put(r.kind, l.cols[2])
	if r.state.rank <= rank {
		put(r.state.cut(long), l.cols[3])
	}
	for _, p := range r.pieces {
		if p.rank <= rank {
			put(p.cut(long), 0)
		}
	}
	return b.String()
}

func (p piece) cut(long func(piece) int) string {
	if long == nil || p.name == "" {
		return p.String()
	}
	if p.end {
		return p.pre + cutEnd(p.name, long(p)) + p.post
	}
	return p.pre + cutStart(p.name, long(p)) + p.post
}

// broken writes r on several lines, without the less important pieces.
func (l *layout) broken(r *textRow) {
	first := piece{pre: r.stem + cutMiddle(r.name, max(8, l.width-textWidth(r.stem)-len(sep)-textWidth(r.mark)))}
	ps := []piece{first, {pre: r.mark}, {pre: r.kind, rank: 1}, r.state}
	l.fill(append(ps, r.pieces...), r.under, sep)
}

// fill writes the pieces of rank 0 one after the other, with sep between them. It begins a new
// line, after indent, when a piece does not fit.
func (l *layout) fill(ps []piece, indent, sep string) {
	line, width := "", 0
	room := func(p piece) int {
		n := l.width - textWidth(indent) - textWidth(p.pre) - textWidth(p.post)
		if n < 6 {
			n = max(6, l.width-textWidth(indent)) // the piece gets a line of its own
		}
		return n
	}
	for _, p := range ps {
		s := p.String()
		if s == "" || p.rank > 0 {
			continue
		}
		n := textWidth(s)
		switch {
		case width == 0:
			line, width = s, n
		case l.width == 0 || width+len(sep)+n <= l.width:
			line += sep + s
			width += len(sep) + n
		default:
			l.lines = append(l.lines, line)
			line = indent + p.cut(room)
			width = textWidth(line)
		}
	}
	if l.width > 0 && width > l.width {
		line = l.breakWords(line, indent)
	}
	l.lines = append(l.lines, line)
}

// breakWords breaks a piece that is longer than a line between words. It writes all of its lines
// but the last, which it returns.
func (l *layout) breakWords(s, indent string) string {
	for textWidth(s) > l.width {
		at := -1
		for i, r := range s {
			if textWidth(s[:i]) > l.width {
				break
			}
			if r == ' ' && i > len(indent) {
				at = i
			}
		}
		if at < 0 {
			return s
		}
		l.lines = append(l.lines, s[:at])
		s = indent + s[at+1:]
	}
	return s
}

// showsRate reports whether the rate of r is shown. That of a tasklet that had nothing to do is
// not.
func (r *Row) showsRate() bool {
	return r.Over > 0 && r.Mailbox != nil && (r.Rate > 0 || r.Mailbox.Len > 0)
}
