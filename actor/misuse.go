package actor

import "fmt"

func misuse(format string, args ...any) {
	panic("actor: " + fmt.Sprintf(format, args...))
}

func mustFunc(op string, ok bool) {
	if !ok {
		misuse("%s with a nil function", op)
	}
}
