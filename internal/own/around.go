package own

import "reflect"

// Around returns a function that calls f inside the hooks of the system and with the values that
// the message m carries in the context, or nil if there is neither a hook nor a carrier. t is the
// *actor.Tasklet that handles messages of the type typ which are not those of its mailbox. m may be
// a slice of them, which carries nothing. Package actor sets Around when it is initialized.
var Around func(t any, typ reflect.Type) func(m any, f func() error) error
