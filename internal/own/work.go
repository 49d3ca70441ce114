package own

// Work declares that the reader of ref, an actor.Ref for messages of the library, keeps messages of
// users outside of its mailbox. n returns their number. It may be called from any goroutine, and
// must neither wait nor fail. They count as queued when a supervisor that drains asks whether there
// is work left, and in the error of a drain that is cut. Work must be called before the ref is
// used. Package actor sets it when it is initialized.
var Work func(ref any, n func() int)
