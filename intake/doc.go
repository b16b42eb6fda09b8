// Package intake is the ledger's doors: how what centres send becomes
// submissions, and how verdicts go back.
//
// A reader turns a format into a sequence of [Item]s, each a submission or the
// reason why there is none. [ReadNDJSON] reads the native format. [Submit] takes
// such a sequence to the ledger in bundles and gives the verdicts back in the
// order of the input.
package intake
