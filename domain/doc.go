// Package domain is the vaccination register in its own words: people are
// registered, doses are given, entries made by mistake are withdrawn, a
// vaccination status is reversed, and an authority freezes a district's
// records. It is where to start reading.
//
// Everything here is a pure function of values. [Normalise] and [Check] look at
// the form of a submission. [Decide] takes what is known about one submission,
// the [Rules] in force and the time of recording, and answers with the one
// [Event] to append, or says why not. [Evolve] folds an event into a [Person].
// [Counts] says what an event adds to the district's counts. Nothing reads a
// clock, a file or a network, so the same history gives the same answers
// anywhere, at any time.
//
// An event carries its consequence (status before and after, cohort, place), so
// that counts are a plain sum over events and stay right after a freeze has
// made the people behind them unreadable.
//
// The package imports the standard library only.
package domain
