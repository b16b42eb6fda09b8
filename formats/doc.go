// Package formats is how submissions and verdicts are written down.
//
// A reader turns one format into a sequence of [Item]s, each a submission or the
// reason why there is none. [ReadNDJSON] reads the native format, of which
// [AppendSubmission] and [AppendVerdict] are the writing side. One bad line never
// affects another, and every reader holds one record in memory, whatever the
// length of its input.
//
// No reader touches a disk, a network or a clock, and no personal data is in an
// error or a rejection's message.
package formats
