package core

// State is the stage of a task between its start and its end.
//
//	        Wake              called           returns, Again
//	Idle ──────────▶ Ready ──────────▶ Running ──────────▶ Ready
//	 ▲                 ▲                │  │ │
//	 └───── returns ───┼────────────────┘  │ └── Finish ─▶ Finished
//	                   └─ Wake ── Parked ◀─┘ Park
//
// All transitions are in wake, suspend, Finish, call and afterCall.
type State uint8

const (
	Idle     State = iota // owns no stack; waits for Wake
	Ready                 // in the run queue, with or without a coroutine
	Running               // has control; at most one task of a scheduler
	Parked                // keeps a coroutine; waits
	Finished              // never called again
)

func (s State) String() string {
	return [...]string{"idle", "ready", "running", "parked", "finished"}[s]
}
