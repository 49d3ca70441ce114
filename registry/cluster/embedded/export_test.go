package embedded

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Accounts of the server.
const (
	FramesAccount    = framesAccount
	DirectoryAccount = directoryAccount
)

// Options returns the options of a connection of this process.
func (e *Engine) Options(account, node string) []nats.Option {
	return append(e.connect(account, node), nats.Timeout(startTime))
}

// Bucket makes the bucket of the directory.
func (e *Engine) Bucket(ctx context.Context) error { return e.bucket(ctx) }

// ClientAddr returns the address of the server's port for clients.
func (e *Engine) ClientAddr() string { return e.server.Addr().String() }
