package schedule_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones must be there on each machine

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/supervisor/schedule"
)

// obvious returns the first minute after after that matches the fields of expr, by looking at the
// clock in loc at each of them, for two days. It returns the zero time if there is none.
func obvious(expr string, after time.Time, loc *time.Location) time.Time {
	f := strings.Fields(expr)
	sets := make([]map[int]bool, 5)
	for i, lo := range []int{0, 0, 1, 1, 0} {
		sets[i] = values(f[i], lo, []int{59, 23, 31, 12, 6}[i])
	}
	for x := after.Truncate(time.Minute).Add(time.Minute); x.Before(after.Add(48 * time.Hour)); x = x.Add(time.Minute) {
		l := x.In(loc)
		day, weekday := sets[2][l.Day()], sets[4][int(l.Weekday())]
		either := f[2][0] != '*' && f[4][0] != '*' && (day || weekday)
		if sets[0][l.Minute()] && sets[1][l.Hour()] && sets[3][int(l.Month())] && (day && weekday || either) {
			return l
		}
	}
	return time.Time{}
}

func values(field string, lo, hi int) map[int]bool {
	set := make(map[int]bool)
	for part := range strings.SplitSeq(field, ",") {
		span, by, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			step, _ = strconv.Atoi(by)
		}
		a, b := lo, hi
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			a, _ = strconv.Atoi(from)
			if b = a; ranged {
				b, _ = strconv.Atoi(to)
			}
		}
		for n := a; n <= b; n += step {
			set[n] = true
		}
	}
	return set
}

// randomField returns a random field with values from lo to hi.
func randomField(rnd *rand.Rand, lo, hi int) string {
	var parts []string
	for range 1 + rnd.IntN(2) {
		a, b := lo+rnd.IntN(hi-lo+1), lo+rnd.IntN(hi-lo+1)
		a, b = min(a, b), max(a, b)
		parts = append(parts, []string{
			"*", strconv.Itoa(a), strconv.Itoa(a) + "-" + strconv.Itoa(b),
			"*/" + strconv.Itoa(1+rnd.IntN(hi)), strconv.Itoa(a) + "-" + strconv.Itoa(b) + "/" + strconv.Itoa(1+rnd.IntN(hi)),
		}[rnd.IntN(5)])
	}
	return strings.Join(parts, ",")
}

// The zones change by an hour, by half an hour and by two, at midnight and at other hours,
// backwards in the middle of a year, and over a whole day. In all of them the schedule says what a
// clock on the wall shows.
func TestNextIsWhatTheClockShows(t *testing.T) {
	zones := []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo",
		"Asia/Kathmandu", "America/Havana", "Asia/Beirut", "Pacific/Apia", "Antarctica/Troll", "Africa/Casablanca",
	}
	exprs := []string{"* * * * *", "30 2 * * *", "15 0 * * *", "0 1 * * *", "0 0 * * *", "10,40 1-3 * * *", "0 0 1 * *", "0 12 * * 1", "59 23 31 12 5"}
	rnd := rand.New(rand.NewPCG(rand.Uint64(), 0))
	n := 20
	if testing.Short() {
		n = 2
	}
	for range n {
		exprs = append(exprs, strings.Join([]string{
			randomField(rnd, 0, 59), randomField(rnd, 0, 23), randomField(rnd, 1, 31), randomField(rnd, 1, 12), randomField(rnd, 0, 6),
		}, " "))
	}
	changes := 0
	for _, zone := range zones {
		loc, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for at := time.Date(2010, 6, 1, 0, 0, 0, 0, time.UTC); ; {
			_, end := at.In(loc).ZoneBounds()
			if end.IsZero() || end.Year() > 2022 {
				break
			}
			at, changes = end, changes+1
			for _, expr := range exprs {
				s, err := schedule.Parse(expr, loc)
				if err != nil {
					require.ErrorContains(t, err, "no day ever matches")
					continue
				}
				x := end.Add(time.Duration(rnd.Int64N(int64(8*time.Hour))) - 6*time.Hour)
				got, want := s.Next(x), obvious(expr, x, loc)
				if want.IsZero() {
					require.False(t, got.Before(x.Add(47*time.Hour)), "%s %q after %v: %v", zone, expr, x.In(loc), got)
				} else {
					require.True(t, got.Equal(want), "%s %q after %v: %v, and not %v", zone, expr, x.In(loc), got, want)
				}
			}
		}
	}
	require.Greater(t, changes, 150)
}

func TestNext(t *testing.T) {
	from := time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC)
	for expr, want := range map[string]string{
		"0 0 29 2 *":      "2104-02-29 00:00:00", // 2100 is no leap year
		"0 0 29 feb Sun":  "2097-02-03 00:00:00", // one of the two is enough
		"0 0 * * 7":       "2096-03-04 00:00:00",
		"0 0 * * SUN":     "2096-03-04 00:00:00",
		"0 0 */2 * mon":   "2096-03-05 00:00:00", // */2 begins with *, so both must match
		" 5  1 * * * ":    "2096-03-01 01:05:00",
		"@monthly":        "2096-04-01 00:00:00",
		"@yearly":         "2097-01-01 00:00:00",
		"@hourly":         "2096-03-01 01:00:00",
		"@every 90s":      "2096-03-01 00:01:30",
		"@every 8760h0m":  "2097-03-01 00:00:00",
		"0-59/30 * * * *": "2096-03-01 00:30:00",
	} {
		s, err := schedule.Parse(expr, time.UTC)
		require.NoError(t, err, expr)
		require.Equal(t, want, s.Next(from).Format(time.DateTime), expr)
	}
	s, err := schedule.Parse(" *  * * * 1,2 ", time.UTC)
	require.NoError(t, err)
	require.Equal(t, "* * * * 1,2 UTC", s.String())
	require.Equal(t, "2096-03-05 00:00:00", s.Next(from.Add(time.Nanosecond)).Format(time.DateTime))
}

func TestParseRefuses(t *testing.T) {
	for expr, rule := range map[string]string{
		"":                     "it has 0 fields, and must have 5",
		"* * * * * *":          "it has 6 fields, and must have 5",
		"60 * * * *":           `the minute "60": "60" is not a value from 0 to 59`,
		"* +1 * * *":           `the hour "+1": "+1" is not a value from 0 to 23`,
		"* * 0 * *":            `the day of the month "0": "0" is not a value from 1 to 31`,
		"* * * 5-3 *":          `the month "5-3": the range "5-3" ends before it begins`,
		"* * * * jan":          `the day of the week "jan": "jan" is not a value from 0 to 7`,
		"*/0 * * * *":          `the minute "*/0": the step "0" is not a number from 1 to 59`,
		"5/10 * * * *":         `the minute "5/10": the step in "5/10" needs a range or *`,
		", * * * *":            `the minute ",": "" is not a value from 0 to 59`,
		"0 0 30 2 *":           "no day ever matches",
		"0 0 31 4,6,9,11 *":    "no day ever matches",
		"@every 1500ms":        "1.5s is not a positive number of whole seconds",
		"@every -5s":           "-5s is not a positive number of whole seconds",
		"@every soon":          `"soon" is not a duration`,
		"@reboot":              "there is no such shorthand",
		"TZ=UTC 0 0 * * *":     "it has 6 fields, and must have 5",
		"* * * * 1\n00 * * * ": "it has 9 fields, and must have 5",
	} {
		s, err := schedule.Parse(expr, time.UTC)
		require.Nil(t, s)
		require.Equal(t, &schedule.ParseError{Expr: expr, Rule: rule}, err, expr)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := schedule.Parse("* * * * *", nil)
	require.EqualError(t, err, `schedule: "* * * * *": the location is nil`)
	_, err = schedule.Parse(strings.Repeat("é ", 1000), time.UTC)
	require.ErrorContains(t, err, "it is longer than 1000 bytes")
}

// Whatever is given, Parse returns, and what it takes has a next time after each of its times.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 29 2 *", "@every 1s", "1-5,*/7 */3 1,31 feb-DEC 7", "@daily"} {
		f.Add(s, int64(1e18))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, expr string, ns int64) {
		s, err := schedule.Parse(expr, berlin)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		from := time.Unix(0, ns)
		for range 3 {
			next := s.Next(from)
			require.True(t, next.After(from), "%v after %v", next, from)
			from = next
		}
	})
}
