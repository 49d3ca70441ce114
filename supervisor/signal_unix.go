//go:build unix && !(darwin || dragonfly || freebsd || netbsd || openbsd)

package supervisor

import (
	"os"
	"syscall"
)

var demands = []os.Signal{syscall.SIGUSR1}
