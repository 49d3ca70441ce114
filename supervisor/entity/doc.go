// Package entity runs one tasklet per key, such as one for each account, session or device. The
// first message for a key starts its tasklet, and the tasklet stops when it has been idle.
//
//	accounts, err := entity.Start(t, entity.Spec[string, deposit]{
//		Name: "accounts", MaxLive: 10_000, Idle: time.Minute, Evict: true,
//		Init: func(t *actor.Tasklet, id string) (actor.Handler[deposit], error) {
//			balance, err := load(t, id)
//			return func(t *actor.Tasklet, d deposit) error { balance += d.amount; return nil }, err
//		},
//	})
//	...
//	err = accounts.Send(t, "alice", deposit{100})
//
// # Guarantees
//
// A key never has two tasklets at the same time, whichever tasklets and goroutines send to it, and
// on whichever schedulers. A message whose send has returned nil is handled at most once: by one
// incarnation of the entity, or it is reported as a dead letter or with the failure of the handler
// that had it in hand. An entity that is stopped, because it was idle, evicted, or by Stop, first
// closes its mailbox and handles what is in it. A sender that comes later is not refused: its
// message starts the next incarnation, which begins when the one before it has ended.
//
// An entity that fails is restarted with its queued messages. Each entity has its own limit of
// restarts. If one exceeds it, only its key is put aside for Spec.Backoff, and sends to it return a
// *[FailedError] with the cause. The other entities are not affected.
//
// The messages of one sender to one key are handled in their order, also over incarnations.
//
// # Limits
//
// At most Spec.MaxLive entities are live. When a set is full, it evicts the entity that has been
// idle the longest, or refuses the message with a *[FullError]. A key that has stopped leaves
// nothing behind. The set remembers at most 1000 keys that are put aside.
//
// # Idle receivers
//
// Idle stops use actor.IdleAfter, a receive timeout that costs no stack. An Init that wants to do
// something else after such a time calls actor.Tasklet.SetIdle.
package entity
