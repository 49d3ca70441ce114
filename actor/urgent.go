package actor

// Urgent makes the tasklet handle the messages for which f returns true before all others that are
// in its mailbox. Urgent messages keep their order, and so do the others. It applies to the bodies
// ReceiverBody and ReceiverInitBody, and to Receiver, for messages of the type M.
//
// The reader sorts the messages, and the senders do not know of it. Before each message that it
// handles, the tasklet calls f for those that have come since, once for each. So a message that is
// being handled is not interrupted. An urgent message counts against the capacity like others: if
// the mailbox is full, its sender waits in the same line as the senders of other messages, or is
// refused, as [Overflow] says. A mailbox with mailbox.DropOldest cannot have urgent messages,
// because the oldest message would be an urgent one. As long as urgent messages come faster than
// they are handled, no other one is handled. A message that is handled again after a failure (see
// [Retry]) comes first, whatever it is.
//
// f runs inside the tasklet, between two messages. It should only look at the message: it must not
// park, and may be called while any number of messages wait. A panic of f is a failure of the
// tasklet, to which [OnFailure] applies, without a message in hand. The message that f was called
// for stays in the mailbox, and is not urgent. If Urgent is given more than once, the last one
// counts. It panics if f is nil.
//
// A receiver with Urgent handles a message in about 30 ns more.
func Urgent[M any](f func(m M) bool) Option {
	mustFunc("Urgent", f != nil)
	return Option{set: optUrgent, is: f}
}

// sorter is an instance that can handle urgent messages first.
type sorter interface {
	instance
	// sorted returns an instance that does so. noUrgent has checked is.
	sorted(is any) instance
}

// A receiver with urgent messages is a retrying one, which asks for each message anew.

func (h *handling[M]) sorted(is any) instance { return h.withRetry(0).(sorter).sorted(is) }

func (i *initialized[M]) sorted(is any) instance { return i.withRetry(0).(sorter).sorted(is) }

func (r *retrying[M]) sorted(is any) instance { r.is = is.(func(M) bool); return r }

func (r *retryingInit[M]) sorted(is any) instance { r.is = is.(func(M) bool); return r }

// handsEmpty implements emptyHanded.
func (r *retrying[M]) handsEmpty() bool { return r.asking }
