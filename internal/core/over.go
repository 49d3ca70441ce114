package core

// WhenOver has w done at the end of Run, when no task is left and nothing is injected any more: for
// goroutines that work for a scheduler and are to be gone with it. Run returns after it. On the
// scheduler, or before Run.
func (s *Scheduler) WhenOver(w Work) { s.endings = append(s.endings, w) }
