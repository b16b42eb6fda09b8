// Package evidence is what an auditor needs to hold the ledger to its word,
// offline and with a public key alone: checkpoints, proofs, count statements and
// freeze receipts, how they are written and how they are checked.
//
// The ledger is a Merkle tree as RFC 6962 has it, a commit a leaf: leaf n is the
// hash of the stored bytes of commit n+1, which are ciphertext and tokens, so a
// freeze changes no hash. A [Checkpoint] is the root of the first so many commits,
// signed. Whoever keeps one can be shown later, by a [Proof] of a few hashes, that
// everything it covered is still there and only has been added to.
//
// A [Statement] says how many were counted, and of which tree. Whoever has the
// commits can count again ([Recount]): it takes no key, because events carry their
// consequence. A [Receipt] ties a freeze's order, and the acknowledgement of every
// holder that was enrolled before it, to one checkpoint.
//
// What is checked are declarations, not physics: a node that lies can acknowledge
// what it did not do. docs/EVIDENCE.md describes the formats and how to check them
// with other people's programs.
package evidence
