// Package real has tests of a cluster of several processes on one machine, and measures it. It is
// not meant to be imported.
//
// The test binary runs itself again: as three processes with a server and a node each, which keep
// the directory together, and as nodes without a server. Their parent kills and stops them, cuts
// their connections, and takes the account of what was sent, handled and reported. The processes
// write what they do to a pipe, so that it is known of those too that are killed.
//
// The tests need Linux, for its signals and for a clock that is the same for all processes.
package real
