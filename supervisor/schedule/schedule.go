package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseError is the error of Parse for an expression that it refuses.
type ParseError struct {
	Expr string
	Rule string // what the expression breaks
}

// Error returns a text with the expression, in quotes, and the rule.
func (e *ParseError) Error() string { return fmt.Sprintf("schedule: %q: %s", e.Expr, e.Rule) }

// A Schedule is a series of times. It is made by Parse, does not change, and may be used from any
// goroutine.
type Schedule struct {
	expr  string
	loc   *time.Location
	every time.Duration // not 0 for @every; the rest is not used then

	// The values that match, as bits.
	minutes, hours, days, months, weekdays uint64
	// eitherDay tells that both fields for days are restricted, so that one of them is enough.
	eitherDay bool
}

// field is one of the five fields of an expression.
type field struct {
	name   string
	lo, hi int
	names  []string // of the values from lo on
}

var fields = [5]field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var shorthands = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// maxExpr is longer than any sensible expression, in bytes.
const maxExpr = 1000

// Parse returns the schedule of a cron expression. The expression has five fields, as in
// crontab(5). They are the minute (0-59), the hour (0-23), the day of the month (1-31), the month
// (1-12 or jan-dec) and the day of the week (0-7 or sun-sat, where 0 and 7 are Sunday). A field is
// a list of values, of ranges such as 1-5, and of *, and the latter two may have a step, as in
// */15. If neither field for days begins with *, a day that matches one of them is enough. Parse
// also takes @yearly, @monthly, @weekly, @daily and @hourly, and @every with a duration of whole
// seconds, such as @every 1h30m.
//
// The times are those that clocks in loc show, and loc must not be nil. A time that a change to
// summer time leaves out is left out by the schedule, and a time that occurs twice in autumn counts
// twice. A job that must run once each day should stay clear of those hours, or use [time.UTC].
//
// The error is a *[ParseError]. Parse refuses an expression that no day ever matches, such as the
// 30th of February.
func Parse(expr string, loc *time.Location) (*Schedule, error) {
	if len(expr) > maxExpr {
		return nil, &ParseError{strings.ToValidUTF8(expr[:100], "") + "...", fmt.Sprintf("it is longer than %d bytes", maxExpr)}
	}
	s := &Schedule{expr: strings.Join(strings.Fields(expr), " "), loc: loc}
	rule := s.parse()
	if rule == "" && loc == nil {
		rule = "the location is nil"
	}
	if rule == "" && s.every == 0 && s.next(firstDay, firstDay.AddDate(9, 0, 0)).IsZero() {
		rule = "no day ever matches"
	}
	if rule != "" {
		return nil, &ParseError{expr, rule}
	}
	return s, nil
}

var firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // all days exist in the years after it

// parse sets s from its expression. It returns the rule that the expression breaks, or "".
func (s *Schedule) parse() string {
	text := s.expr
	if rest, ok := strings.CutPrefix(text, "@every "); ok {
		d, err := time.ParseDuration(rest)
		switch {
		case err != nil:
			return fmt.Sprintf("%q is not a duration", rest)
		case d < time.Second || d%time.Second != 0:
			return fmt.Sprintf("%v is not a positive number of whole seconds", d)
		}
		s.every = d
		return ""
	}
	if full, ok := shorthands[text]; ok {
		text = full
	} else if strings.HasPrefix(text, "@") {
		return "there is no such shorthand"
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return fmt.Sprintf("it has %d fields, and must have 5", len(parts))
	}
	for i, to := range []*uint64{&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays} {
		set, rule := fields[i].parse(parts[i])
		if rule != "" {
			return fmt.Sprintf("the %s %q: %s", fields[i].name, parts[i], rule)
		}
		*to = set
	}
	s.weekdays = s.weekdays&0x7f | s.weekdays>>7 // 7 is Sunday, too
	s.eitherDay = parts[2][0] != '*' && parts[4][0] != '*'
	return ""
}

// parse returns the values of a field as bits, or the rule that it breaks.
func (f *field) parse(text string) (set uint64, rule string) {
	for part := range strings.SplitSeq(text, ",") {
		span, by, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.hi {
				return 0, fmt.Sprintf("the step %q is not a number from 1 to %d", by, f.hi)
			}
		}
		lo, hi := f.lo, f.hi
		if span == "*" {
			if f.hi == 7 {
				hi = 6
			}
		} else {
			from, to, ranged := strings.Cut(span, "-")
			if lo, rule = f.value(from); rule != "" {
				return 0, rule
			}
			switch {
			case ranged:
				if hi, rule = f.value(to); rule != "" {
					return 0, rule
				}
				if hi < lo {
					return 0, fmt.Sprintf("the range %q ends before it begins", span)
				}
			case stepped:
				return 0, fmt.Sprintf("the step in %q needs a range or *", part)
			default:
				hi = lo
			}
		}
		for n := lo; n <= hi; n += step {
			set |= 1 << n
		}
	}
	return set, ""
}

func (f *field) value(text string) (n int, rule string) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.lo + i, ""
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.lo || n > f.hi || text[0] == '+' {
		return 0, fmt.Sprintf("%q is not a value from %d to %d", text, f.lo, f.hi)
	}
	return n, ""
}

// String returns the expression with single spaces, and the name of the location.
func (s *Schedule) String() string { return s.expr + " " + s.loc.String() }

// Next returns the first time of s that is later than after, in the location of s. With @every, it
// is that duration after the last whole second. A time is a whole minute of the clock, and with
// @every a whole second.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.In(s.loc)
	if s.every != 0 {
		return after.Add(-time.Duration(after.Nanosecond())).Add(s.every)
	}
	// Between two changes of its zone, a clock is UTC moved by a constant. In each such stretch the
	// search is one in UTC, so that nothing has to be known of what happens at a change.
	for from := after.Add(1); ; {
		_, end := from.ZoneBounds()
		_, offset := from.Zone()
		move := time.Duration(offset) * time.Second
		limit := end
		if end.IsZero() { // the zone does not change any more
			limit = from.AddDate(10, 0, 0) // a day that exists comes within eight years
		}
		if next := s.next(from.UTC().Add(move), limit.UTC().Add(move)); !next.IsZero() {
			return next.Add(-move).In(s.loc)
		}
		from = limit.In(s.loc)
	}
}

// next returns the first whole minute in UTC that matches, from from on and before limit. It
// returns the zero time if there is none.
func (s *Schedule) next(from, limit time.Time) time.Time {
	t := from.Truncate(time.Minute)
	if t.Before(from) {
		t = t.Add(time.Minute)
	}
	for t.Before(limit) {
		year, month, day := t.Date()
		switch {
		case !has(s.months, int(month)):
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.matchesDay(t):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !has(s.hours, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(s.minutes, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

func (s *Schedule) matchesDay(t time.Time) bool {
	day, weekday := has(s.days, t.Day()), has(s.weekdays, int(t.Weekday()))
	if s.eitherDay {
		return day || weekday
	}
	return day && weekday
}

func has(set uint64, n int) bool { return set>>n&1 != 0 }
