// Package stack keeps the stacks of panics. To find out where a goroutine is takes a microsecond;
// to write that down takes ten, and most stacks are never read: a log may filter them out.
package stack

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
)

// A Stack is the stack of a goroutine at some moment, as a panic. It is kept as program counters,
// and String writes it. A nil *Stack is one that is not known. Its methods may be called from any
// goroutine.
type Stack struct {
	pcs  []uintptr
	text string // if it was made of a text
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

// Text returns a Stack with a text that was made already; nil for none.
func Text(text []byte) *Stack {
	if len(text) == 0 {
		return nil
	}
	return &Stack{text: string(bytes.TrimRight(text, "\n")) + "\n"}
}

// String returns the stack as debug.Stack prints it, innermost call first, with two lines for each
// call: but for the number of the goroutine, and the arguments, for which it has "...". It returns
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
			name = "panic" // as debug.Stack has it
		}
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d +0x%x\n", name, f.File, f.Line, f.PC-f.Entry)
	}
	return b.String()
}
