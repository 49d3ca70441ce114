package own

// Refused reports whether the request of a call was refused by the mailbox, so that it was never
// queued. reply is the actor.Reply of a call that has just returned mailbox.ErrClosed to the
// caller of Refused. Package actor sets it when it is initialized.
var Refused func(reply any) bool
