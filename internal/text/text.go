// Package text makes strings that come from outside the program safe to use as a part of a log
// entry, of an error, or of a row of a tree.
//
// Names, labels, error texts and panic values may come from the input of a program. Written
// unchanged, a line break in one begins a new line, which looks like another entry or another row;
// an escape sequence rewrites the terminal; and a bidirectional control makes a line read
// backwards. This package is the one place that decides how such characters are written: escaped,
// as in a Go string. Printable text stays as it is, and is not copied.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// These are the lengths, in bytes, to which a log entry cuts the text that it quotes. Many
// collectors split a line that is longer than 16 KiB, and the second half would look like an entry.
const (
	MaxName  = 1 << 10 // of a name or a path
	MaxError = 4 << 10 // of the text of an error, or of any other value
)

// Line returns s on one line, with every character that cannot be printed escaped as in a Go
// string. These are controls, line and paragraph separators, format characters (such as
// bidirectional controls), spaces other than the ordinary one, and bytes that are not UTF-8.
// Line(Line(s)) is Line(s).
func Line(s string) string {
	i := 0
	for ; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			break
		}
	}
	if i == len(s) {
		return s // the usual case, without a copy
	}
	return escape(s, i, nil)
}

// Word returns s as one word of a sentence: like Line, but quoted as a Go string if s is empty, or
// has spaces or double quotes. So a path with spaces cannot be mistaken for the words around it.
func Word(s string) string {
	if s == "" || strings.ContainsAny(s, " \"") {
		return strconv.Quote(s)
	}
	return Line(s)
}

// Key returns s as the key of a value, or as a value that is followed by another key. It is like
// Line, and also escapes spaces, equals signs, double quotes, backslashes and box-drawing
// characters. Different strings have different keys.
func Key(s string) string {
	return escape(s, 0, func(_, r rune) bool { return strings.ContainsRune(" =\"\\", r) || isBox(r) })
}

// isBox reports whether r is a box-drawing character, with which trees are drawn.
func isBox(r rune) bool { return r >= 0x2500 && r <= 0x257f }

// Cell returns s as a cell of a table whose columns are separated by two spaces, and whose rows may
// begin with box-drawing characters. It is like Line, and also escapes these characters, and all
// spaces except single ones between other characters.
func Cell(s string) string {
	s = escape(s, 0, func(before, r rune) bool {
		return r == ' ' && (before == ' ' || before == 0) || isBox(r)
	})
	if before, ok := strings.CutSuffix(s, " "); ok {
		return before + `\x20`
	}
	return s
}

// escape is like Line, but begins at the i-th byte, and also escapes the characters for which also
// returns true. The first argument of also is the previous character, or 0 if there is none.
func escape(s string, i int, also func(before, r rune) bool) string {
	var b []byte // nil as long as no character was escaped
	before := rune(0)
	for size := 0; i < len(s); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && size == 1
		if !bad && unicode.IsPrint(r) && (also == nil || !also(before, r)) {
			if b != nil {
				b = append(b, s[i:i+size]...)
			}
			before = r
			continue
		}
		if b == nil {
			b = append(make([]byte, 0, len(s)+16), s[:i]...)
		}
		switch {
		case r == '\\':
			b = append(b, `\\`...)
		case bad || r < utf8.RuneSelf && unicode.IsPrint(r): // escape the byte
			b = fmt.Appendf(b, `\x%02x`, s[i])
		case r < utf8.RuneSelf || !unicode.IsPrint(r):
			q := strconv.AppendQuoteRuneToASCII(nil, r)
			b = append(b, q[1:len(q)-1]...)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		before = r
	}
	if b == nil {
		return s
	}
	return string(b)
}

// Cut shortens s to at most n bytes, where n must be at least 64. It keeps the beginning and the
// end, with the number of bytes removed between them.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	mark := func(left int) string { return "…" + strconv.Itoa(left) + " bytes…" }
	keep := n - len(mark(len(s)))
	head, tail := keep-keep/3, keep/3
	for !utf8.RuneStart(s[head]) {
		head--
	}
	from := len(s) - tail
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return s[:head] + mark(from-head) + s[from:]
}
