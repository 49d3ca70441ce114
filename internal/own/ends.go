package own

// Ends are the ends of a child that its supervisor reports in the log. The event exit of such an
// end is logged at debug, if nobody stops the child, and whoever learns of the end must report it
// at the level of an exit.
type Ends uint8

const (
	NoEnds     Ends = iota // the supervisor need not report any
	FailedEnds             // those with an error, a panic or a kill
	AllEnds
)

// Functions of package actor, which sets them during initialization.
var (
	// Report makes the supervisor of slot, an *actor.Slot, responsible for ends of its tasklets. It
	// must be called before the first start.
	Report func(slot any, ends Ends)
	// Reported returns whether the supervisor of t, an *actor.Tasklet that has finished, must
	// report its end, and the number of messages that the tasklet had in hand and lost.
	Reported func(t any) (must bool, lost int)
	// NotRestarted reports e, an actor.Exit, if that must be reported, as the end of a child that
	// its supervisor does not restart.
	NotRestarted func(e any)
)
