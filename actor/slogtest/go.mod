// A module of its own, so that the library does not depend on go.uber.org/zap/exp: it holds the test of the line that is shown for
// log/slog in the documentation.
module github.com/gotasklet/tasklet/actor/slogtest

go 1.26

replace github.com/gotasklet/tasklet => ../..

require (
	github.com/gotasklet/tasklet v0.0.0-00010101000000-000000000000
	go.uber.org/zap v1.28.0
	go.uber.org/zap/exp v0.3.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
)
