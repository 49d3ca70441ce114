package own

import "context"

// KeepCell is a context for a Call by a goroutine after which Refused is asked. Other calls give
// back what Refused looks at.
type KeepCell struct{ context.Context }

// Refused reports whether the request of a call was refused by the mailbox, so that it was never
// queued. reply is the actor.Reply of a call that has just returned mailbox.ErrClosed to the caller
// of Refused. The call must have been made by a tasklet, or with KeepCell. Package actor sets
// Refused when it is initialized.
var Refused func(reply any) bool
