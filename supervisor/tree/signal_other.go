//go:build !unix

package tree

import "os"

var demands []os.Signal
