package netio

import "fmt"

// misuse panics at the caller with the rule that it broke.
func misuse(format string, args ...any) { panic("netio: " + fmt.Sprintf(format, args...)) }
