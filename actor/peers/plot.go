package main

import (
	"bytes"
	"errors"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// looks are how the peers are told apart, by shape as well as by colour. The colours are those of
// Okabe and Ito, which people who see fewer colours can tell apart too.
var looks = map[string]draw.GlyphStyle{
	"channels":   {Color: color.RGBA{0, 114, 178, 255}, Shape: draw.CircleGlyph{}, Radius: 4},
	"hollywood":  {Color: color.RGBA{213, 94, 0, 255}, Shape: draw.BoxGlyph{}, Radius: 4},
	"protoactor": {Color: color.RGBA{0, 158, 115, 255}, Shape: draw.PyramidGlyph{}, Radius: 4},
	"erlang":     {Color: color.RGBA{204, 121, 167, 255}, Shape: draw.RingGlyph{}, Radius: 4},
}

// legendWidth is what the legend takes on the right of the plot, so that no point is under it.
const legendWidth = 34 * vg.Millimeter

// series are the points of one peer in the plot: x is the ratio, y the place of the workload.
type series struct {
	plotter.XYs
	plotter.XErrors
}

// plot draws the ratios of the comparison as SVG: a line for each workload, on it a point for each
// peer, and from the lowest to the highest ratio a bar.
func (r *report) plot() ([]byte, error) {
	rows := r.compared()
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	// All text is in the title: for a label below, a logarithmic axis reserves half of the label's
	// width on the right.
	p.Title.Text = "Cost relative to tasklets (less than 1 is cheaper)\nmedian, lowest to highest of the rounds; logarithmic"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ratioTicks{}
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.Padding = true, true, vg.Millimeter
	p.Title.Padding = 3 * vg.Millimeter
	places := make([]string, len(rows))
	for i, row := range rows {
		places[len(rows)-1-i] = row.Name
	}
	low, high := 1.0, 1.0
	drawn := false
	p.Add(plotter.NewGrid())
	for j := 1; j < len(r.peers); j++ {
		var s series
		for i, row := range rows {
			c := &row.cells[0][j]
			if len(c.ratios) == 0 {
				continue
			}
			st := statsOf(c.ratios)
			// The peers of a workload stand one below the other.
			y := float64(len(rows)-1-i) + 0.3 - 0.6*float64(j-1)/float64(max(1, len(r.peers)-2))
			s.XYs = append(s.XYs, plotter.XY{X: st.median, Y: y})
			s.XErrors = append(s.XErrors, struct{ Low, High float64 }{st.median - st.low, st.high - st.median})
			low, high = min(low, st.low), max(high, st.high)
		}
		if len(s.XYs) == 0 {
			continue
		}
		drawn = true
		points, err := plotter.NewScatter(s.XYs)
		if err != nil {
			return nil, err
		}
		bars, err := plotter.NewXErrorBars(s)
		if err != nil {
			return nil, err
		}
		points.GlyphStyle = looks[r.peers[j].name]
		bars.Color = points.Color
		p.Add(bars, points)
		legend.Add(r.peers[j].title, points)
	}
	if !drawn {
		return nil, errors.New("there is no ratio to plot: it needs a workload of the comparison and two peers that have done it")
	}
	p.X.Min, p.X.Max = low/1.3, high*1.3
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	p.NominalY(places...)
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: p.Y.Min}, {X: 1, Y: p.Y.Max}})
	if err != nil {
		return nil, err
	}
	one.Color, one.Width = color.Black, vg.Points(1)
	p.Add(one)
	legend.Add("tasklets", one)

	canvas := vgsvg.New(18*vg.Centimeter, vg.Length(4+1.3*float64(len(rows)))*vg.Centimeter)
	margin := 4 * vg.Millimeter
	inside := draw.Crop(draw.New(canvas), margin, -margin, margin, -margin)
	p.Draw(draw.Crop(inside, 0, -legendWidth, 0, 0))
	legend.Draw(draw.Crop(inside, inside.Max.X-inside.Min.X-legendWidth, 0, 0, -8*vg.Millimeter))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	// The text has the width of Liberation Sans, which few readers have, and which these replace
	// letter for letter.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif;")), nil
}

// ratioTicks are ticks at 1, 2 and 5 times the powers of ten, with plain numbers; where many powers
// are shown, only these have them.
type ratioTicks struct{}

func (ratioTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for power := 1e-6; power <= high; power *= 10 {
		for _, m := range []float64{1, 2, 5} {
			x := power * m
			if x < low || x > high {
				continue
			}
			tick := plot.Tick{Value: x}
			if m == 1 || high/low < 1000 {
				tick.Label = strconv.FormatFloat(x, 'g', 3, 64)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
