package actor

// Task is a tasklet with a result of type R. It is not a context, but its Tasklet is. Use [New] to
// make one.
type Task[R any] struct {
	t Tasklet
	f func(*Tasklet) (R, error)
	v R // owned by the scheduler; other goroutines read it when t has finished
}

// Tasklet returns the tasklet of k.
func (k *Task[R]) Tasklet() *Tasklet { return &k.t }

// Kill kills the tasklet; see [Tasklet.Kill].
func (k *Task[R]) Kill() { k.t.Kill() }

// HasFinished reports whether the tasklet has finished; see [Tasklet.HasFinished].
func (k *Task[R]) HasFinished() bool { return k.t.HasFinished() }

// Name returns the name of the tasklet; see [Tasklet.Name].
func (k *Task[R]) Name() string { return k.t.Name() }
