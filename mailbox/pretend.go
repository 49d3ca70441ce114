package mailbox

// PretendFull lets local sends find m full although there is room, whenever full says so: for simulations that look for senders
// that can't bear it, as package actortest does. What such a send does is up to the policy. Under Block it takes its place in the
// line, its sender parks, and its message is moved in before the next task runs; nobody overtakes it. Under DropOldest a message
// is dropped only if there is one. Unbounded mailboxes stay as they are, and so do sends from elsewhere.
//
// On home, or before the first Open; at most once. It costs other mailboxes nothing: m is given a state of its own, by which the
// fast path of a send is left.
func (m *Mailbox[M]) PretendFull(full func() bool) {
	if m.policy == Unbounded {
		return
	}
	m.extra().pretend = full
	m.state.CompareAndSwap(stateOpen, stateMoody)
}

// seemsFull reports whether a send is to find m full, and sees to it that whoever stands in line for that is let in soon. On home.
//
// In between, the line is not empty although there is room. Whoever comes next has to stand in it as well.
func (m *Mailbox[M]) seemsFull(onFull Policy) bool {
	x := m.ext.Load()
	if x.line.Empty() {
		if onFull == DropOldest && m.queue.n == 0 || !x.pretend() {
			return false
		}
	}
	if onFull == Block {
		m.home.Load().Inject((*arrival[M])(m))
	}
	return true
}
