package core

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRealClockInBubble(t *testing.T) {
	outside := RealClock()
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]Clock{"made inside": RealClock(), "made outside": outside} {
			begin, now := c.since(), c.Now()
			if !now.Equal(time.Now()) {
				t.Errorf("%s: Now() = %v, want the bubble's %v", name, now, time.Now())
			}
			time.Sleep(time.Hour)
			if got := time.Duration(c.since() - begin); got != time.Hour {
				t.Errorf("%s: since() moved by %v in an hour", name, got)
			}
			if got := c.Now().Sub(now); got != time.Hour {
				t.Errorf("%s: Now() moved by %v in an hour", name, got)
			}
		}
	})
}

func TestRealClock(t *testing.T) {
	c := RealClock()
	if c.virtual() {
		t.Error("the real clock says that it is virtual")
	}
	begin := c.since()
	if begin < 0 {
		t.Errorf("since() = %d at the start", begin)
	}
	for c.since() == begin { // ends, as it moves by itself
	}
	if got := c.since(); got < begin {
		t.Errorf("since() went back from %d to %d", begin, got)
	}
	defer func() {
		if recover() == nil {
			t.Error("jump of the real clock does not panic")
		}
	}()
	c.jump(1)
}

func TestVirtualClockStart(t *testing.T) {
	if got, want := NewVirtualClock(time.Time{}).Now(), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); got != want {
		t.Errorf("the zero start is %v, want %v", got, want)
	}
	start := time.Date(2038, 1, 19, 3, 14, 7, 0, time.FixedZone("there", 3600))
	if got := NewVirtualClock(start).Now(); got != start {
		t.Errorf("Now() = %v, want the start %v, with its zone", got, start)
	}
	if got, start := NewVirtualClock(time.Now()).Now(), time.Now(); got == start || got != got.Round(0) {
		t.Errorf("Now() = %v has a monotonic reading", got)
	}
}

func TestVirtualClockJump(t *testing.T) {
	var c Clock = NewVirtualClock(time.Time{})
	if !c.virtual() {
		t.Error("the virtual clock says that it is real")
	}
	start := c.Now()
	for _, step := range []struct{ jump, want time.Duration }{
		{0, 0},
		{time.Millisecond, time.Millisecond},
		{time.Hour, time.Hour},
		{time.Minute, time.Hour}, // never back
		{-1, time.Hour},
		{200 * 365 * 24 * time.Hour, 200 * 365 * 24 * time.Hour},
	} {
		c.jump(int64(step.jump))
		if got := time.Duration(c.since()); got != step.want {
			t.Errorf("after a jump to %v: since() = %v, want %v", step.jump, got, step.want)
		}
		if got := c.Now().Sub(start); got != step.want {
			t.Errorf("after a jump to %v: Now() is %v after the start, want %v", step.jump, got, step.want)
		}
	}
}

// Two jump, two look: nobody sees the time go back, and the furthest jump wins.
func TestVirtualClockFromAnyGoroutine(t *testing.T) {
	const jumps = 10_000
	c := NewVirtualClock(time.Time{})
	start := c.Now()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ns := range int64(jumps) {
				c.jump(ns + 1)
			}
		})
		all.Go(func() {
			for last := start; last.Sub(start) < jumps; {
				now := c.Now()
				if now.Before(last) {
					t.Errorf("Now() went back from %v to %v", last, now)
					return
				}
				last = now
			}
		})
	}
	all.Wait()
	if got := c.since(); got != jumps {
		t.Errorf("since() = %d, want %d", got, jumps)
	}
}
