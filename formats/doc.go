// Package formats is how submissions and verdicts are written down.
//
// A reader turns one format into a sequence of [Item]s, each a submission or the
// reason why there is none: [ReadNDJSON] the native one, of which
// [AppendSubmission] and [AppendVerdict] are the writing side, [ReadCSV],
// [ReadDIVOC], [ReadFHIR] and [ReadCoWIN] what others write. [Read] finds out
// which one an input is in. One bad record never affects another, and every
// reader holds one record in memory, or one Bundle, whatever the length of its
// input.
//
// A foreign record states a person again with every dose. Its submissions get ids
// made of what it says (see [ForeignID]), so that the same record is the same
// submission whenever it comes. What it carries and the ledger does not collect
// is dropped here, and only its name goes on.
//
// No reader touches a disk, a network or a clock, and no personal data is in an
// error or a rejection's message.
package formats
