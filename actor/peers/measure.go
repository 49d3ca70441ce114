package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

// report is all that was measured.
type report struct {
	rounds  int
	quick   bool
	load    float64    // of the machine before; below 0 if unknown
	peers   []runnable // the reference first
	skipped []skip
	rows    []row
}

// skip is a peer that could not be prepared.
type skip struct {
	peer
	reason error
}

// row is one workload, with a cell for each size and peer.
type row struct {
	work.Workload
	cells [][]cell // by size, then by peer as in report.peers
}

// cell is what one peer did in all rounds with one size of a workload. Nothing is in it if the peer
// does not do the work.
type cell struct {
	params work.Params
	asked  bool
	err    error     // the first; nothing is measured after it
	values []float64 // by round
	// ratios are by round too: to the reference, or in a workload that grows to the first size.
	// They are missing if one of the two failed.
	ratios  []float64
	allocs  float64 // of one operation, in the last round; below 0 if unknown
	version string
}

// good reports whether there are figures to show.
func (c *cell) good() bool { return c.asked && c.err == nil }

// measure fills in the rows, one workload after the other. It fails only if ctx ends: a peer that
// fails is noted in its cell.
func (r *report) measure(ctx context.Context, o options, log io.Writer) error {
	for _, w := range o.workloads {
		row := r.newRow(w, o.quick)
		for round := range o.rounds {
			if err := r.round(ctx, &row, round, o); err != nil {
				return err
			}
		}
		row.relate()
		r.rows = append(r.rows, row)
		for i, cells := range row.cells {
			for j := range cells {
				if c := &cells[j]; c.asked {
					fmt.Fprintf(log, "%s: %s %s\n", label(w, i, r.peers[j].title), c.figures(), row.unit())
				}
			}
		}
	}
	return nil
}

func label(w work.Workload, size int, peer string) string {
	if w.Grows() {
		return fmt.Sprintf("%s, %s, %s", w.Name, w.Sizes[size].Label, peer)
	}
	return fmt.Sprintf("%s, %s", w.Name, peer)
}

func (r *report) newRow(w work.Workload, quick bool) row {
	row := row{Workload: w}
	for _, size := range w.Sizes {
		p := size.Params
		share := 1.0
		if quick {
			share = quickShare
		}
		p = p.Scaled(share)
		cells := make([]cell, len(r.peers))
		for j := range cells {
			cells[j] = cell{params: p, asked: w.DoneBy(r.peers[j].name), allocs: -1}
		}
		row.cells = append(row.cells, cells)
	}
	return row
}

// round measures each cell of the row once. Each round begins with another cell, so that no peer
// always runs after the same one.
func (r *report) round(ctx context.Context, row *row, round int, o options) error {
	n := len(row.cells) * len(r.peers)
	for k := range n {
		at := (k + round) % n
		size, j := at/len(r.peers), at%len(r.peers)
		c := &row.cells[size][j]
		if !c.good() {
			continue
		}
		result, err := r.peers[j].run(ctx, row.Workload, c.params, o.timeout)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.err = err
			continue
		}
		c.values = append(c.values, value(row.Workload, c.params, result))
		c.version = result.Version
		if result.Allocs >= 0 {
			c.allocs = result.Allocs / float64(c.params.Operations)
		}
	}
	return nil
}

// relate fills in the ratios, when all rounds are done.
func (r *row) relate() {
	for i, cells := range r.cells {
		for j := range cells {
			base := &cells[0]
			if r.Grows() {
				base = &r.cells[0][j]
			}
			if c := &r.cells[i][j]; c.good() && base.good() {
				c.ratios = ratios(c.values, base.values)
			}
		}
	}
}

// failure is an error that names every cell that failed.
func (r *report) failure() error {
	var errs []error
	for _, row := range r.rows {
		for i, cells := range row.cells {
			for j, c := range cells {
				if c.err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", label(row.Workload, i, r.peers[j].title), c.err))
				}
			}
		}
	}
	return errors.Join(errs...)
}
