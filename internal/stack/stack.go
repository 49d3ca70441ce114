// Package stack keeps the stacks of panics as program counters. Obtaining them takes a microsecond,
// and writing them as text takes ten. Most stacks are never read, because a log may filter them
// out.
package stack

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"strings"
)

// A Stack is the stack of a goroutine at one moment, for example at a panic. It is kept as program
// counters, and String writes it as text. A nil *Stack means that the stack is not known. Its
// methods may be called from any goroutine.
type Stack struct {
	pcs  []uintptr
	text string // not empty if it was made from a text
}

// Here returns the stack of the caller's caller.
func Here() *Stack {
	var buf [64]uintptr
	pcs := buf[:]
	n := runtime.Callers(3, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(3, pcs)
	}
	return &Stack{pcs: append([]uintptr(nil), pcs[:n]...)}
}

// Text returns a Stack for a text that already exists, or nil if the text is empty.
func Text(text []byte) *Stack {
	if len(text) == 0 {
		return nil
	}
	return &Stack{text: string(bytes.TrimRight(text, "\n")) + "\n"}
}

// String returns the stack as debug.Stack prints it, innermost call first, with two lines for each
// call. It leaves out the number of the goroutine, and writes "..." for the arguments. It returns
// "" for nil.
func (s *Stack) String() string {
	switch {
	case s == nil:
		return ""
	case s.pcs == nil:
		return s.text
	}
	var b strings.Builder
	b.WriteString("goroutine [running]:\n")
	frames := runtime.CallersFrames(s.pcs)
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		name := f.Function
		if name == "runtime.gopanic" {
			name = "panic" // the name that debug.Stack prints
		}
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d +0x%x\n", name, f.File, f.Line, f.PC-f.Entry)
	}
	return b.String()
}

// frame matches a call in a goroutine profile with debug information, as package runtime/pprof
// writes it: the program counter, the function with an offset, and where it stands.
var frame = regexp.MustCompile(`^#\t0x[0-9a-f]+\t(.+?)\+(0x[0-9a-f]+)\t+(.+:[0-9]+)$`)

// Tidy returns text, the group of a goroutine in the text of a goroutine profile, as debug.Stack
// prints stacks, and without the labels. It returns any other text as it is.
func Tidy(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if m := frame.FindSubmatch(bytes.TrimRight(line, "\n")); m != nil {
			fmt.Fprintf(&b, "%s(...)\n\t%s +%s\n", m[1], m[3], m[2])
		}
	}
	if b.Len() == 0 {
		return text
	}
	return append([]byte("goroutine [running]:\n"), b.Bytes()...)
}
