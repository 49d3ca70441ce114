package text

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, line, word, key, cell string }{
		{"", "", `""`, "", ""},
		{"worker-1", "worker-1", "worker-1", "worker-1", "worker-1"},
		{"Jörg 東京 🙂", "Jörg 東京 🙂", `"Jörg 東京 🙂"`, `Jörg\x20東京\x20🙂`, "Jörg 東京 🙂"},
		{"a\nb\r\t\x00\x1b[31m\x7f", `a\nb\r\t\x00\x1b[31m\x7f`, `a\nb\r\t\x00\x1b[31m\x7f`, `a\nb\r\t\x00\x1b[31m\x7f`, `a\nb\r\t\x00\x1b[31m\x7f`},
		{"\u0085\u009b31m\u2028\u2029", `\u0085\u009b31m\u2028\u2029`, `\u0085\u009b31m\u2028\u2029`, `\u0085\u009b31m\u2028\u2029`, `\u0085\u009b31m\u2028\u2029`},
		{"\u202eabc\u2066\u200b\ufeff\u00a0", `\u202eabc\u2066\u200b\ufeff\u00a0`, `\u202eabc\u2066\u200b\ufeff\u00a0`, `\u202eabc\u2066\u200b\ufeff\u00a0`, `\u202eabc\u2066\u200b\ufeff\u00a0`},
		{"\xff\xfe\U000e0001", `\xff\xfe\U000e0001`, `\xff\xfe\U000e0001`, `\xff\xfe\U000e0001`, `\xff\xfe\U000e0001`},
		{"a  b c ", "a  b c ", `"a  b c "`, `a\x20\x20b\x20c\x20`, `a \x20b c\x20`},
		{" ", " ", `" "`, `\x20`, `\x20`},
		{"├─ x", "├─ x", `"├─ x"`, `\u251c\u2500\x20x`, `\u251c\u2500 x`},
		{`say "hi" = \`, `say "hi" = \`, `"say \"hi\" = \\"`, `say\x20\x22hi\x22\x20\x3d\x20\\`, `say "hi" = \`},
		{"\ufffd", "\ufffd", "\ufffd", "\ufffd", "\ufffd"},
	} {
		require.Equal(t, c.line, Line(c.in), "Line(%q)", c.in)
		require.Equal(t, c.word, Word(c.in), "Word(%q)", c.in)
		require.Equal(t, c.key, Key(c.in), "Key(%q)", c.in)
		require.Equal(t, c.cell, Cell(c.in), "Cell(%q)", c.in)
	}
}

func TestCut(t *testing.T) {
	require.Equal(t, "abc", Cut("abc", 64))
	require.Equal(t, strings.Repeat("a", 57)+"…915 bytes…"+strings.Repeat("b", 28), Cut(strings.Repeat("a", 500)+strings.Repeat("b", 500), 101))
	for n := 64; n < 110; n++ {
		for _, s := range []string{strings.Repeat("東", 99), strings.Repeat("a東🙂", 99)} {
			got := Cut(s, n)
			require.LessOrEqual(t, len(got), n)
			require.True(t, utf8.ValidString(got), "%q", got)
		}
	}
}

// An ordinary text is neither changed nor copied.
func TestOrdinaryTextIsNotCopied(t *testing.T) {
	ascii, wide := "/shop/orders/worker-3", "/Läden/東京"
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, s := range []string{ascii, wide} {
			_, _, _, _ = Line(s), Word(s), Key(s), Cell(s)
		}
	}))
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\x1b[31m", "\u2028", "a  b ", "└─ x", "\xff", "\ufffd", `\n`, `"`, strings.Repeat("\n", 5000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, f := range map[string]func(string) string{"Line": Line, "Word": Word, "Key": Key, "Cell": Cell} {
			got := f(s)
			require.True(t, utf8.ValidString(got), "%s(%q)", name, s)
			for _, r := range got {
				require.True(t, unicode.IsPrint(r), "%s(%q) has %q", name, s, r)
			}
		}
		require.Equal(t, Line(s), Line(Line(s)))
		if !strings.ContainsAny(s, "\"\\") && utf8.ValidString(s) { // nothing is lost
			back, err := strconv.Unquote(`"` + Line(s) + `"`)
			require.NoError(t, err)
			require.Equal(t, s, back)
		}
		require.NotContains(t, Key(s), " ")
		require.NotContains(t, Key(s), "=")
		if strconv.CanBackquote(s) && !strings.ContainsAny(s, "\n`\ufffd") {
			back, err := strconv.Unquote(`"` + Key(s) + `"`)
			require.NoError(t, err, Key(s))
			require.Equal(t, s, back)
		}
		cell := Cell(s)
		require.NotContains(t, cell, "  ")
		require.Equal(t, strings.TrimSpace(cell), cell)
		require.False(t, strings.ContainsFunc(cell+Key(s), isBox))
		require.LessOrEqual(t, len(Cut(s, 64)), 64)
	})
}
