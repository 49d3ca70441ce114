//go:build !unix

package supervisor

import "os"

var demands []os.Signal
