package core

// State is where a task is between its birth and its end.
//
//	         Wake              called           returns, Again
//	Idle ──────────▶ Ready ──────────▶ Running ──────────▶ Ready
//	 ▲                 ▲                │  │ │
//	 └───── returns ───┼────────────────┘  │ └── Finish ─▶ Finished
//	                   └─ Wake ── Parked ◀─┘ Park
//
// The transitions are made by wake, suspend, Finish, call and afterCall, nowhere else.
type State uint8

const (
	Idle     State = iota // owns no stack, waits for Wake
	Ready                 // in the run queue, with or without a coroutine
	Running               // has control; one task of a scheduler at most
	Parked                // keeps a coroutine, waits
	Finished              // never called again
)

func (s State) String() string {
	return [...]string{"idle", "ready", "running", "parked", "finished"}[s]
}
