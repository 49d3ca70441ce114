package netio

import "fmt"

// misuse panics with the rule that the caller broke.
func misuse(format string, args ...any) { panic("netio: " + fmt.Sprintf(format, args...)) }
