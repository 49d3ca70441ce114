package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// A line is what the reader sends to a parser.
type line struct {
	file   string
	number int // in its file, from 1
	text   string
}

const (
	readBytes = 64 << 10
	// maxLine is the maximal length of a line in bytes. A longer line is cut between words into
	// pieces with the same number, so that memory is bounded and no parser holds the scheduler for
	// long. A longer word is cut too.
	maxLine = 64 << 10
)

// A source reads text, file after file. It is ordinary code that may block.
type source struct {
	names []string  // arguments that were not opened yet
	found []string  // files in the folder that was opened last
	stdin io.Reader // for the name "-"

	file   io.ReadCloser // nil if none is open
	name   string
	named  bool   // the file is an argument, not found in a folder
	number int    // of the line at the start of rest; 0 if nothing was read yet
	rest   []byte // read, but not yet a whole line
}

// A chunk is the result of one call of next.
type chunk struct {
	lines    []line
	files    int      // files read to the end
	binary   int      // files in folders that are not text
	problems []string // the files that could not be read, and why
}

// next returns the next chunk, or io.EOF after the last file.
func (s *source) next() (c chunk, err error) {
	if s.file == nil {
		return c, s.open(&c)
	}
	buf := make([]byte, readBytes)
	n, err := s.file.Read(buf)
	if s.number == 0 && bytes.IndexByte(buf[:n], 0) >= 0 {
		if s.close(); s.named {
			c.problem(s.name, errors.New("is no text, it has a zero byte"))
		} else {
			c.binary++
		}
		return c, nil
	}
	s.number = max(s.number, 1)
	s.rest = append(s.rest, buf[:n]...)
	c.lines = s.split(err != nil)
	if err != nil {
		s.close()
		if err == io.EOF {
			c.files++
		} else {
			c.problem(s.name, fmt.Errorf("%w, after line %d", reason(err), s.number-1))
		}
	}
	return c, nil
}

// split removes the lines from rest that are complete, or long enough for a piece. atEnd says that
// no data follows rest.
func (s *source) split(atEnd bool) (lines []line) {
	text := string(s.rest) // one copy, which all lines share
	for {
		end, next := strings.IndexByte(text, '\n'), 1
		switch {
		case end >= 0:
		case atEnd && text != "":
			end, next = len(text), 0
		case len(text) >= maxLine:
			end = strings.LastIndexFunc(text, func(r rune) bool { return r < utf8.RuneSelf && !inWord(r) })
			if end <= 0 {
				end = len(text)
			}
			lines = append(lines, line{s.name, s.number, text[:end]})
			text = text[end:]
			continue
		default:
			s.rest = append(s.rest[:0], text...)
			return lines
		}
		lines = append(lines, line{s.name, s.number, text[:end]})
		text = text[end+next:]
		s.number++
	}
}

// open opens the next file, or lists the next folder.
func (s *source) open(c *chunk) error {
	switch {
	case len(s.found) > 0:
		s.name, s.found, s.named = s.found[0], s.found[1:], false
	case len(s.names) > 0:
		s.name, s.names, s.named = s.names[0], s.names[1:], true
	default:
		return io.EOF
	}
	s.number = 0
	if s.named && s.name == "-" {
		s.name, s.file = "standard input", io.NopCloser(s.stdin)
		return nil
	}
	f, err := os.Open(s.name)
	if err != nil {
		c.problem(s.name, err)
		return nil
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		s.look(c)
		return nil
	}
	s.file = f
	return nil
}

// look finds the files below the folder s.name. It skips names that begin with a dot, and
// everything that is not a regular file.
func (s *source) look(c *chunk) {
	_ = fs.WalkDir(os.DirFS(s.name), ".", func(path string, d fs.DirEntry, err error) error {
		full := filepath.Join(s.name, path)
		switch {
		case err != nil:
			c.problem(full, err) // continue with the other files
		case path != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular():
			s.found = append(s.found, full)
		}
		return nil
	})
}

func (s *source) close() {
	s.file.Close()
	s.file, s.rest = nil, nil
}

func (c *chunk) problem(name string, err error) {
	c.problems = append(c.problems, fmt.Sprintf("%s: %v", name, reason(err)))
}

// reason returns err without the operation and the name that package os adds.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
