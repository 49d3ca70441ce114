// Package peers has the same work done by tasklets, by two other actor libraries for Go, and by goroutines with channels. It is a module
// of its own, so that nobody who uses the library needs them.
//
//	go -C actor/peers test -run '^$' -bench . -count 6 -p 1 ./...
package peers
