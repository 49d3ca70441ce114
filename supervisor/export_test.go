package supervisor

// Check reports what is wrong with the books of a supervisor at rest. On its scheduler.
func (s *Supervisor) Check() error { return s.check() }

// Check is that of the supervisor inside.
func (p *Pool[A]) Check() error { return p.s.check() }
