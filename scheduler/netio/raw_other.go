//go:build !unix

package netio

// raw tries nothing here: a helper makes all calls that could block.
type raw struct {
	fd     any
	stream bool
}

func newRaw(any, bool) raw { return raw{} }

func (*raw) one([]byte) (int, error) { return 0, errAgain }
