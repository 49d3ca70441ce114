package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// markdown is the report as text, without the markers.
func (r *report) markdown() string {
	var b strings.Builder
	r.head(&b)
	r.comparison(&b)
	r.allocations(&b)
	r.growth(&b)
	r.remarks(&b)
	return b.String()
}

// head says what was measured, and with what.
func (r *report) head(b *strings.Builder) {
	amount := "the full work"
	if r.quick {
		amount = "a twentieth of the work, a first look only"
	}
	fmt.Fprintf(b, "Measured: %s; %s, %s.\n", machine(), plural(r.rounds, "round"), amount)
	if r.load >= 0 {
		fmt.Fprintf(b, "Load of the machine before: %.1f.", r.load)
		if busy(r.load) {
			fmt.Fprint(b, " **It was busy with something else, which slows those down the most that use several processors: these "+
				"figures flatter tasklets.**")
		}
		fmt.Fprintln(b)
	}
	var versions []string
	for j, p := range r.peers {
		if v := r.version(j); v != "" {
			versions = append(versions, p.title+" ("+v+")")
		}
	}
	if len(versions) > 0 {
		fmt.Fprintf(b, "Versions: %s.\n", strings.Join(versions, ", "))
	}
	for _, s := range r.skipped {
		fmt.Fprintf(b, "Not measured: %s, which could not be run.\n", s.title)
	}
}

func (r *report) version(peer int) string {
	for _, row := range r.rows {
		for _, cells := range row.cells {
			if v := cells[peer].version; v != "" {
				return v
			}
		}
	}
	return ""
}

func (r *report) compared() []row {
	return slices.DeleteFunc(slices.Clone(r.rows), func(row row) bool { return row.Grows() })
}

func (r *report) grown() []row {
	return slices.DeleteFunc(slices.Clone(r.rows), func(row row) bool { return !row.Grows() })
}

// comparison has two tables with a row for each workload and a column for each peer: the ratios,
// and the figures.
func (r *report) comparison(b *strings.Builder) {
	rows := r.compared()
	if len(rows) == 0 {
		return
	}
	header := []string{"work"}
	for _, p := range r.peers[1:] {
		header = append(header, p.title)
	}
	if len(r.peers) > 1 {
		tableHead(b, header)
		for _, row := range rows {
			cells := []string{fmt.Sprintf("**%s**: %s", row.Name, row.Title)}
			for j := 1; j < len(r.peers); j++ {
				cells = append(cells, row.cells[0][j].ratio())
			}
			tableRow(b, cells)
		}
		fmt.Fprint(b, "\nWhat each costs, divided by what tasklets cost in the same round: median (lowest to highest). Above 1 tasklets "+
			"are ahead; below 1, in bold, they are behind.\n")
		r.behind(b)
	}
	tableHead(b, append([]string{"work", "unit", "tasklets"}, header[1:]...))
	for _, row := range rows {
		cells := []string{row.Name, row.unit()}
		for j := range r.peers {
			cells = append(cells, row.cells[0][j].figures())
		}
		tableRow(b, cells)
	}
}

func (r *row) unit() string { return fmt.Sprintf("%s per %s", r.Unit, r.Per) }

// behind names the work in which tasklets cost more than a peer, and that peer.
func (r *report) behind(b *strings.Builder) {
	var found []string
	compared := 0
	for _, row := range r.compared() {
		var peers []string
		with := 0
		for j := 1; j < len(r.peers); j++ {
			c := &row.cells[0][j]
			if len(c.ratios) == 0 {
				continue
			}
			with = 1
			if s := statsOf(c.ratios); s.median < 1 {
				peers = append(peers, r.peers[j].title+" "+figure(s.median))
			}
		}
		compared += with
		if peers != nil {
			found = append(found, fmt.Sprintf("- *%s*: %s\n", row.Name, strings.Join(peers, ", ")))
		}
	}
	switch {
	case compared == 0:
	case found == nil:
		fmt.Fprint(b, "\nTasklets are behind in none of them.\n")
	default:
		fmt.Fprintf(b, "\nTasklets are behind in %d of %d, where the others need only this share of what tasklets need:\n\n%s",
			len(found), compared, strings.Join(found, ""))
	}
}

// allocations has the counts of the peers that are written in Go.
func (r *report) allocations(b *strings.Builder) {
	var columns []int
	header := []string{"allocations"}
	rows := r.compared()
	for j, p := range r.peers {
		known := func(row row) bool { return row.cells[0][j].allocs >= 0 && row.cells[0][j].good() }
		if slices.ContainsFunc(rows, known) {
			columns = append(columns, j)
			header = append(header, p.title)
		}
	}
	if len(columns) == 0 {
		return
	}
	tableHead(b, header)
	for _, row := range rows {
		cells := []string{fmt.Sprintf("%s, per %s", row.Name, row.Per)}
		for _, j := range columns {
			text := ""
			if c := &row.cells[0][j]; c.good() && c.allocs >= 0 {
				text = fmt.Sprintf("%.1f", c.allocs)
			}
			cells = append(cells, text)
		}
		tableRow(b, cells)
	}
}

// growth has a row for each size of a workload, with the ratio to its first size.
func (r *report) growth(b *strings.Builder) {
	rows := r.grown()
	if len(rows) == 0 {
		return
	}
	header := []string{"how cost grows", "size"}
	var columns []int
	for j, p := range r.peers {
		if slices.ContainsFunc(rows, func(row row) bool { return row.DoneBy(p.name) }) {
			columns = append(columns, j)
			header = append(header, p.title)
		}
	}
	header = append(header, "tasklets are bound by")
	tableHead(b, header)
	for _, row := range rows {
		for i, size := range row.Sizes {
			cells := []string{"", size.Label}
			bound := ""
			if i == 0 {
				cells[0] = fmt.Sprintf("**%s**: %s; %s", row.Name, row.Title, row.unit())
				bound = row.Bound
			}
			for _, j := range columns {
				c := &row.cells[i][j]
				text := c.figures()
				if i > 0 && len(c.ratios) > 0 {
					text += "; " + c.text(c.ratios, 0)
				}
				cells = append(cells, text)
			}
			tableRow(b, append(cells, bound))
		}
	}
	fmt.Fprintf(b, "\nHere the ratio after the semicolon is to the first size of the same peer.\n")
}

// remarks say what failed.
func (r *report) remarks(b *strings.Builder) {
	if err := r.failure(); err != nil {
		fmt.Fprintln(b)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(b, "Failed: %s\n", line)
		}
	}
}

// figures are what the cell's peer needs for an operation.
func (c *cell) figures() string { return c.text(c.values, 0) }

// ratio is the same as a ratio; in bold if it is below 1.
func (c *cell) ratio() string { return c.text(c.ratios, 1) }

// text has the stats of xs, the median in bold if it is below the limit; or why there are none.
func (c *cell) text(xs []float64, limit float64) string {
	switch {
	case !c.asked:
		return ""
	case c.err != nil:
		return "failed"
	case len(xs) == 0:
		return "no base"
	}
	s := statsOf(xs)
	median := figure(s.median)
	if s.median < limit {
		median = "**" + median + "**"
	}
	return fmt.Sprintf("%s (%s to %s)", median, figure(s.low), figure(s.high))
}

// figure is x with three digits, and commas in the thousands.
func figure(x float64) string {
	switch {
	case x >= 999.5:
		text := fmt.Sprintf("%.0f", x)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.001 || x == 0 || math.IsNaN(x):
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.2g", x)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func tableHead(b *strings.Builder, cells []string) {
	fmt.Fprintln(b)
	tableRow(b, cells)
	fmt.Fprintln(b, strings.Repeat("|---", len(cells))+"|")
}

func tableRow(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// The markers in a page, each on a line of its own.
const (
	beginMarker = "<!-- peers: begin, written by the command -->"
	endMarker   = "<!-- peers: end -->"
)

var errMarkers = errors.New("the page needs one line " + beginMarker + " and below it one line " + endMarker)

// insert returns the page with the text between its markers, and nothing else changed.
func insert(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, beginMarker+"\n")
	if !ok || (before != "" && !strings.HasSuffix(before, "\n")) || strings.Contains(before, endMarker) {
		return "", errMarkers
	}
	old, after, ok := strings.Cut(rest, endMarker)
	if !ok || (old != "" && !strings.HasSuffix(old, "\n")) || (after != "" && !strings.HasPrefix(after, "\n")) {
		return "", errMarkers
	}
	for _, marker := range []string{beginMarker, endMarker} {
		if strings.Contains(old+after, marker) {
			return "", errMarkers
		}
	}
	return before + beginMarker + "\n\n" + strings.TrimSpace(text) + "\n\n" + endMarker + after, nil
}
