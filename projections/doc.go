// Package projections folds the ledger into what is asked of it, in Pebble:
//
//   - [Register] is the write side's own view. It knows every submission, every
//     person's status and dose dates, and while a cohort is open its mobile and
//     photo-ID tokens. It is pseudonymous and never shown to anybody.
//   - [People] keeps the details of open cohorts, sealed as they came: the view
//     holds no key and opens nothing. A freeze closes a cohort's span of keys in
//     the fold itself, and [People.Purge] then removes its bytes from every file.
//   - [Counts] keeps bitemporal cells (the day it happened, the day it was
//     recorded), and answers what is known now of 4 March as well as what was
//     known on 4 March.
//   - [Merkle] keeps the hashes of the tree over all commits, from which roots and
//     proofs are read.
//
// Each view has a directory of its own without a write-ahead log: the ledger is
// the log. A view's rows and its checkpoint are written in one batch, so that
// every commit is folded exactly once, whatever crashes. What a crash loses is
// bounded and folded again. A view is never repaired, only rebuilt: its
// directory holds numbered generations, of which one is live.
//
// The [Runner] follows the ledger and folds many commits in one batch when it
// is behind. It tells every view the ledger's orders before their time, so that
// neither a rebuild nor a directory put back from somewhere materialises the
// details of a frozen cohort, not even for a moment.
package projections
