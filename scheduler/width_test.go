package scheduler_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// width is the column at which comments wrap, with tabs of 4 columns.
const width = 100

// TestCommentsWrap reads the comments of all Go files of the module and of those nested in it. Code
// and drawings in comments, which are indented, and the output of an example are left as they are.
func TestCommentsWrap(t *testing.T) {
	root := os.DirFS(moduleRoot(t))
	n := 0
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		src, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		n++
		for _, line := range tooWide(src) {
			t.Errorf("%s:%d: the comment goes past column %d", path, line, width)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 100 {
		t.Errorf("only %d files read: the check looks at the wrong tree", n)
	}
}

func TestTooWide(t *testing.T) {
	long := strings.Repeat("x", width)
	for src, want := range map[string]int{
		"// " + long[:97] + "\n":        0, // ends in the last column
		"// " + long[:98] + "\n":        1,
		"//\t" + long + "\n":            0, // code
		"//   " + long + "\n":           0, // a drawing
		"//go:" + long + "\n":           0, // a directive
		"\t// " + long[:94]:             1,
		"var a int // " + long:          1,
		"// Output:\n// " + long:        0,
		"var a = `// " + long + "`":     0, // no comment
		"// " + strings.Repeat("ä", 97): 0, // columns, not bytes
	} {
		if got := len(tooWide([]byte("package p\n" + src))); got != want {
			t.Errorf("%d lines of %q are too wide; want %d", got, src, want)
		}
	}
}

// tooWide returns the numbers of the lines of src whose comment goes past the width.
func tooWide(src []byte) (lines []int) {
	all := strings.Split(string(src), "\n")
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	output := 0 // the last line of an example's output so far
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return lines
		}
		if tok != token.COMMENT {
			continue
		}
		n := file.Line(pos)
		body := strings.TrimPrefix(text, "//")
		if s := strings.TrimSpace(body); s == "Output:" || s == "Unordered output:" || output == n-1 && output > 0 {
			output = n
			continue
		}
		own := strings.HasPrefix(strings.TrimSpace(all[n-1]), "//")
		if own && (strings.HasPrefix(body, "\t") || strings.HasPrefix(body, "  ") || !strings.HasPrefix(body, " ")) {
			continue
		}
		if utf8.RuneCountInString(strings.ReplaceAll(all[n-1], "\t", "    ")) > width {
			lines = append(lines, n)
		}
	}
}
