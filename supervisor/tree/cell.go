package tree

import (
	"unicode"
	"unicode/utf8"

	"github.com/gotasklet/tasklet/internal/text"
)

// cell returns s as a part of a row, cut to limit columns. Its characters cannot look like another
// row, or like two columns.
func cell(s string, limit int) string { return cutEnd(text.Cell(text.Cut(s, text.MaxError)), limit) }

// cutEnd cuts s to n columns, and keeps its beginning.
func cutEnd(s string, n int) string {
	if textWidth(s) <= n {
		return s
	}
	return takeStart(s, n-1) + "…"
}

// cutStart cuts s to n columns, and keeps its end.
func cutStart(s string, n int) string {
	if textWidth(s) <= n {
		return s
	}
	return "…" + takeEnd(s, n-1)
}

// cutMiddle cuts s to n columns, and keeps both ends: the kind of a name is at its beginning, and
// what distinguishes it is at its end.
func cutMiddle(s string, n int) string {
	if textWidth(s) <= n {
		return s
	}
	end := (n - 1) / 2
	return takeStart(s, n-1-end) + "…" + takeEnd(s, end)
}

func takeStart(s string, n int) string {
	for i, r := range s {
		if n -= runeWidth(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

func takeEnd(s string, n int) string {
	for i := len(s); i > 0; {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if n -= runeWidth(r); n < 0 {
			return s[i:]
		}
		i -= size
	}
	return s
}

// textWidth returns the number of columns that s takes on a terminal.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd: // East Asian wide, and emoji
		return 2
	}
	return 1
}
