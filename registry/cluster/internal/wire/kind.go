package wire

// Kind says what an entry is. Kinds below 16 belong to this package; all others to the node layer,
// which may add some of its own.
type Kind uint8

// Credited is the bit of the kinds whose entries are messages: they go to the mailbox of a target,
// and need credits.
const Credited Kind = 0x80

// Kinds of this package.
const (
	kindForgo Kind = 1 // the sender gives unused credits back; handlers never see it

	KindOpen  Kind = 2 // opens a target; the payload says which
	KindClose Kind = 3 // closes a target; no message for it follows
)

// Kinds that the node layer gives a meaning to.
const (
	KindHello   Kind = 16 // begins a session
	KindTypes   Kind = 17 // numbers of types
	KindAnswer  Kind = 18 // answers a call
	KindFailure Kind = 19 // a call failed
	KindCancel  Kind = 20 // the caller does not wait any more
	KindWatch   Kind = 21 // wants to know of an end
	KindUnwatch Kind = 22 // does not any more
	KindEnd     Kind = 23 // tells of an end
	KindGoodbye Kind = 24 // the node leaves

	KindMessage = Credited | 16 // a message
	KindCall    = Credited | 17 // a message that is the request of a call
)

// known reports whether an entry of this kind can be in a frame. Kinds of the node layer always
// can: whether it knows them is its own affair.
func (k Kind) known() bool { return k&^Credited >= 16 || k >= kindForgo && k <= KindClose }
