//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package tree

import (
	"os"
	"syscall"
)

var demands = []os.Signal{syscall.SIGUSR1, syscall.SIGINFO}
