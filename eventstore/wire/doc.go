// Package wire is the ledger's format on disk, generated from ledger.proto and
// audit.proto, which are the contract and the place to read about it. Package
// eventstore alone uses it, to translate to and from the domain's events.
//
// vtprotobuf's code reads and writes commits three times as fast as the
// standard runtime; the standard code is there for everybody else's tools. What
// it reads shares the memory of the bytes read. Regenerate both with
//
//	go run ./internal/protogen
package wire
