package core

// Kind is the call in which a task is parked. Its text is the word in a tree, in the chain of a
// deadlock and in the report of a stall.
type Kind uint8

const (
	NotParked   Kind = iota
	InYield          // it yielded and is ready
	InSleep          // until a time
	InReceive        // for a message
	InSend           // for room in a mailbox
	InJoin           // for the end of another task
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

// String returns the word. It ends with a preposition if a name follows, as in "send to", but
// "join".
func (k Kind) String() string { return kindNames[k] }

// outside reports whether something else than a task ends the wait. A virtual clock then stands
// still.
func (k Kind) outside() bool { return k == InAwait || k == InIO }
