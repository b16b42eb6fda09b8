// Package intake is the ledger's doors: how what centres send becomes
// submissions, and how verdicts go back.
//
// [Submit] takes what a reader of the room formats has read to the ledger in
// bundles and gives the verdicts back in the order of the input; one bad line
// never affects another.
//
// The [Door] takes in what centres publish to JetStream on
// intake.<district>.<centre>: bundles sealed to the ledger's intake key, so that
// nothing lies there in the clear. A Watermill router takes them from a
// [Subscriber] that keeps each centre's bundles in their order, retries what may
// succeed later, and puts aside what never can. Verdicts are sealed to the sender,
// go to its own inbox, and are kept for who asks later. [Client] is the centre's
// side.
//
// What is refused goes into the [Quarantine], sealed to the district whose people it
// is about, to be looked at and tried again. [Holders] are the parts of a freeze that
// end what bundles and quarantine hold of its district.
//
// No personal data is in a subject, a header, a log or an error of this package.
package intake
