// Package codec encodes messages and errors for other nodes.
//
// # Types
//
// A type travels under a name and a version that the program gives it (Register), never under its
// name in Go. Names and versions are told to a peer once (Peer.Table, Peer.Learn); a message begins
// with the number of its type in the table of its sender.
//
// A type is checked when it is registered. Register panics, with the path of the field, if a value
// could come out at the other side other than it went in: fields that are not exported, two fields
// with one key, `toarray`, interfaces, functions, channels, map keys that only have MarshalText,
// and so on. A field that is not meant to travel says so with `cbor:"-"`. What is allowed to
// differ: a nil slice or map comes out empty, a time in UTC and without its monotonic reading.
//
// # Encodings
//
//   - []byte, and named types of it, as it is;
//   - a type with AppendBinary and UnmarshalBinary by these;
//   - all other types as CBOR (RFC 8949, core deterministic). A struct is a map whose keys are the
//     names of the fields, or integers by `cbor:"1,keyasint"`, which is shorter. A type with
//     MarshalBinary and UnmarshalBinary inside is a byte string.
//
// An unknown field is ignored and a missing one is zero, so a field can be added, or removed,
// without a new version. A new version says that earlier readers must not read the message: they
// refuse it. The length of an array can't change: what does not fit is lost.
//
// # Limits
//
// What comes from a peer is decoded into a fresh value, within limits: 256 KiB a message unless set
// otherwise, 16 levels, 65,536 elements in an array or a map, 64 bytes of memory for each byte that
// the longest message may have, no tags, no indefinite lengths, no key twice.
package codec
