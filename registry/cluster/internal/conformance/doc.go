// Package conformance has behaviours of refs, replies, names and groups, each written once, to run
// with both ends in one system and with the ends on two nodes. A behaviour says what it sees, line
// by line. The lines must be those of its table, which are the same everywhere, or say why not.
//
// The rules are those of docs/semantics.md.
package conformance
