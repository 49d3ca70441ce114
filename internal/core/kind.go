package core

// Kind says in which call a task is parked. It is the word in a tree, a deadlock's chain and a
// stall report.
type Kind uint8

const (
	NotParked   Kind = iota
	InYield          // gave way to others, is ready
	InSleep          // until a time
	InReceive        // for a message
	InSend           // for room in a mailbox
	InJoin           // for the end of another
	InCall           // for a reply
	InStop           // for a child that it stops
	InAwait          // for a function on another goroutine
	InChan           // for the other side of a Chan
	InMutex          // for the holder of a Mutex
	InSemaphore      // for a Semaphore
	InEvent          // for an Event
	InWaitGroup      // for a WaitGroup
	InIO             // for a connection
)

var kindNames = [...]string{
	"", "yield", "sleep", "receive", "send to", "join", "call to", "stop of", "await", "chan", "mutex held by",
	"semaphore", "event", "wait group", "i/o",
}

// String gives the word, with its preposition where somebody's name follows: "send to", "join".
func (k Kind) String() string { return kindNames[k] }

// outside: the one that ends the wait is not a task, so a virtual clock stands still meanwhile.
func (k Kind) outside() bool { return k == InAwait || k == InIO }
