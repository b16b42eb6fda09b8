// Package notices tells others what happened: that a freeze was announced, a
// certificate is void, a reversal was asked for, may be decided or is decided, that
// the counts of a district changed. A [Follower] follows the ledger and publishes
// CloudEvents 1.0 to the JetStream stream NOTICES on notice.<district>.<kind>. What
// is told of an event is decided in [domain.Notices]: no person, by token or
// otherwise, no centre, no officer.
//
// Whoever subscribes sees each notice once, and those of a district in the order of
// the ledger. No file and no lock is needed for that: every message of the stream
// carries how far the notices have come, and is published on condition that it
// stands right behind the message that this was read from. So a follower that was
// killed goes on where it was, an acknowledgement that got lost shows as a message
// that is there, and of several followers on several nodes one publishes and the
// others find that it is done.
//
// The ledger does not wait for notices: they are read from it behind its back, and
// what could not be published yet waits in the ledger itself.
package notices
