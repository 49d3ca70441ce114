package actor

import (
	"testing"
	"unsafe"

	"github.com/gotasklet/tasklet/mailbox"
)

// An idle receiver is one piece of memory; 384 bytes is a size class of Go's allocator, and the
// next one is 416. With the closure of the handler and a ref to it, that keeps the budget of 450
// bytes.
func TestSizeOfReceiver(t *testing.T) {
	t.Logf("Tasklet %d, Mailbox %d, line %d", unsafe.Sizeof(Tasklet{}), unsafe.Sizeof(mailbox.Mailbox[int]{}), unsafe.Sizeof(lineage[int]{}))
	if n := unsafe.Sizeof(receiver[int]{}); unsafe.Sizeof(uintptr(0)) == 8 && n > 384 {
		t.Errorf("a receiver has %d bytes", n)
	}
}
