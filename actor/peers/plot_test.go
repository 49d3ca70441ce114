package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPlot(t *testing.T) {
	r := made()
	image, err := r.plot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.plot()
	if err != nil || !bytes.Equal(image, again) {
		t.Errorf("the same figures gave another plot (%v)", err)
	}
	text := ""
	d := xml.NewDecoder(bytes.NewReader(image))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if chars, ok := token.(xml.CharData); ok {
			text += string(chars) + "\n"
		}
	}
	for _, want := range []string{"ping-pong", "counting", "ring", "tasklets", "channels", "100", "10", "Cost relative to tasklets"} {
		if !strings.Contains(text, want+"\n") && !strings.Contains(text, want+" ") {
			t.Errorf("no %q in the plot's text %q", want, text)
		}
	}
	if strings.Contains(text, "grow") {
		t.Error("the plot has a workload that grows")
	}
}

func TestPlotOfNothing(t *testing.T) {
	r := made()
	r.rows = r.rows[2:]
	if _, err := r.plot(); err == nil {
		t.Error("no error for a plot without a ratio")
	}
}

func TestEveryPeerHasItsLook(t *testing.T) {
	for _, p := range allPeers[1:] {
		if looks[p.name].Shape == nil {
			t.Errorf("%s has no glyph", p.name)
		}
	}
}

// A narrow range has numbers at 2 and 5 too, a wide one only at the powers of ten, where there is
// room for them.
func TestRatioTicks(t *testing.T) {
	labels := func(low, high float64) string {
		var words []string
		for _, tick := range (ratioTicks{}).Ticks(low, high) {
			if tick.Value < low || tick.Value > high {
				t.Errorf("tick %v is not in %v to %v", tick.Value, low, high)
			}
			if tick.Label != "" {
				words = append(words, tick.Label)
			}
		}
		return strings.Join(words, " ")
	}
	if got := labels(0.15, 25); got != "0.2 0.5 1 2 5 10 20" {
		t.Error(got)
	}
	if got := labels(0.008, 250); got != "0.01 0.1 1 10 100" {
		t.Error(got)
	}
}
