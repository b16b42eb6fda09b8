// Package centre is what runs on a vaccination centre's own machine, where the
// link to the ledger comes and goes.
//
// [Centre.Keep] and a watched folder take submissions, in any format that the
// ledger reads, into a spool on the machine's disk: what they say is kept is
// flushed, and sealed under the centre's own key. Whenever the link is up a
// forwarder sends what waits, in order and one exchange at a time, and brings the
// verdicts back; a bundle is forgotten once they are on the disk, too. It is
// sealed to the ledger's key only on its way, so a key that changed meanwhile
// loses nothing.
//
// Whatever fails at whatever moment, a bundle is sent again rather than not at
// all; the ledger knows every submission by its id, so the second time has no
// effect. [Centre.Run] does all this, and serves callers on the machine over HTTP.
package centre
