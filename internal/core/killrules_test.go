package core

import "testing"

// The table has a row for each bit, in order, and finds what can't be.
func TestKillRules(t *testing.T) {
	for i, r := range killRules {
		if r.bit&-r.bit != 1<<i || r.name == "" || r.by == "" || r.when == "" || r.off == "" {
			t.Errorf("row %d is %+v", i, r)
		}
	}
	if n := len(killRules); killCount != 1<<(n-1) {
		t.Errorf("%d rows", n)
	}
	for _, c := range []struct {
		kill  uint32
		stack bool
		wrong string
	}{
		{0, false, ""},
		{killSoft, false, ""},
		{killSoft | killHard, true, ""},
		{killSoft | killRaised, true, "soft"},
		{killHard | killRaised, true, ""},
		{killRaised, false, "raised"},
		{killHard | killRaised | 7*killCount, true, ""},
		{7 * killCount, true, "counted"},
		{killHard | killLost | killSoft, true, ""},
		{killLost, true, "lost"},
		{killHard | killLost, false, "lost"},
		{killHard | killTold, true, "told"},
		{killHard | killLost | killTold, true, ""},
		{killAway, true, ""},
		{killAway, false, "away"},
	} {
		got := ""
		if r := wrongKill(c.kill, c.stack); r != nil {
			got = r.name
		}
		if got != c.wrong {
			t.Errorf("%s, with a stack: %v: %q is wrong, want %q", killNames(c.kill), c.stack, got, c.wrong)
		}
	}
}
