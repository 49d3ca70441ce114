// A module of its own, so that the library does not depend on golang.org/x/time.
module github.com/gotasklet/tasklet/actor/flow/limiter

go 1.26.0

replace github.com/gotasklet/tasklet => ../../..

require (
	github.com/gotasklet/tasklet v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	golang.org/x/time v0.16.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	go.uber.org/multierr v1.10.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
