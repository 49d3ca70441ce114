package tree

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span returns the length of a wait as text: 820ms, 12.4s, 3m7s.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt((d+time.Millisecond-1).Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strings.TrimSuffix(strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', 1, 64), ".0") + "s"
	}
	return ago(d)
}

// short returns the length of a call as text, with two digits: 96ns, 1.5µs, 2.3s.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// digits returns v with three digits, or all of those before the point.
func digits(v float64) float64 {
	if v >= 100 {
		return math.Round(v)
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}

// ago returns the time since something as text: 41s, 2h14m.
func ago(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case d < 10*time.Second:
		return span(d)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}

// period returns the length of a window as text: 60s, 10m.
func period(d time.Duration) string {
	if d%time.Second == 0 && d <= 2*time.Minute {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
