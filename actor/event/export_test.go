package event

// Save returns a function that takes back all kinds that were added since.
func Save() (restore func()) {
	saved := kinds
	return func() { kinds = saved }
}
