// Package ledger is the write side and the front desk: it turns submissions
// into events, answers with verdicts, carries out freezes, and opens a person's
// details to an officer whose reading was recorded first.
//
// A [Ledger] owns one of everything: the event store, the vault, the register
// it decides against, and the runner that folds the ledger into the views which
// people look at. [Ledger.Submit] is its heart. Submissions wait in a queue; one
// committer takes what waits, decides it against a draft of the register,
// appends the outcome as one commit with the expected sequence of the stream,
// and answers when the commit is flushed. While a commit is being flushed the
// next is decided on top of it, and only then appended: one commit is in flight.
//
// Two processes that both believe they are the writer are slow, never wrong:
// the stream refuses the commit that was decided against an older head, the
// committer folds what it missed and decides again.
package ledger
