// Package eventstore keeps the ledger: a single line of commits, each of them
// the events that were decided together, in a NATS JetStream stream on disk.
//
// [Store.Append] puts a commit at the end if the end is where the writer
// believes it to be, and returns when it is flushed. [Store.Read] yields commits
// in order. There is nothing else: no update, no deletion. The server refuses
// both, and so does the set-up that [Open] insists on.
//
// A commit is one message because that is where the orders of magnitude are:
// five hundred events cost the flush of one. It is a protocol buffer whose
// description, wire/ledger.proto, is the contract with the decades to come, and
// a reader that does not understand a commit in full refuses it.
//
// By default the server runs inside the process and keeps its files in a
// directory of its own; [Config] names an external one instead. A second stream,
// AUDIT, records who read a person's details, before the answer is given, and
// orders those reads against freezes ([Store.AppendRead]).
//
// Nothing here holds personal data in the clear, neither in messages nor in
// subjects, headers or errors.
package eventstore
