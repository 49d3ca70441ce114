package core

// Runner is the work of a task.
type Runner interface {
	// Run is called on the scheduler each time the task has become ready. When it returns, the task
	// is idle and owns no stack until the next Wake. If it parks half-way, it keeps the coroutine
	// on which it runs until it returns. Calls do not nest, and wake-ups are not counted: Run must
	// examine everything that could have happened.
	//
	// A panic that leaves Run ends the scheduler, unless the Runner is a [Catcher].
	Run(t *Task)
}

// A Labeller is a Runner that sets the profiler labels of the goroutine before it does anything
// else. So those that another task has left need not be removed before its Run.
type Labeller interface {
	Runner
	// SetsLabels marks the type. It is not called.
	SetsLabels()
}

// A Catcher is a Runner that handles a Run that did not return. After runtime.Goexit, which ends
// the goroutine too, Run is called once more in its turn.
type Catcher interface {
	Runner
	// Catches reports whether it handles a panic or runtime.Goexit now. It is called before the
	// panic is recovered. If it returns false, the panic ends the scheduler.
	Catches() bool
	// Caught is called in a deferred call, on the scheduler, with the value of the panic, or nil
	// for runtime.Goexit. It must not park. If goesOn is true, the task continues as if Run had
	// returned. Otherwise Run is called once more before anything else happens, on a stack without
	// the panic.
	Caught(v any) (goesOn bool)
}
