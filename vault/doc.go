// Package vault keeps what makes the ledger readable, apart from the ledger:
// the pepper that turns numbers into tokens, one key per cohort under which
// details are sealed, the key that centres seal bundles to, and the bearer
// tokens of the roles. A freeze destroys cohort keys here; with them goes, in
// every copy of the ledger that was ever made, what they sealed.
//
// # The keys directory
//
//	lock                    held while a process has the vault open
//	pepper                  32 bytes; the identity of every token in the ledger
//	cohorts.keys            a 512-byte sector per cohort and key epoch, overwritten in place
//	quarantine.keys         a 512-byte sector per district, likewise
//	intake.key              the key that bundles are sealed to; below it retired ones, until
//	                        what was sealed to them has been taken in
//	signing.key             the key that signs checkpoints, counts and receipts; retired public keys below it
//	token.key               the key that signs tokens of access
//	tokens/<role>           a bearer token per role, for this machine alone
//	sandbox-authority.key   in a sandbox ledger only
//
// # What is trusted
//
// The account that runs the process, its memory, and the disk under the keys
// directory, which has to overwrite in place: ext4 and XFS do, Btrfs, ZFS and
// F2FS write elsewhere and leave the old bytes for a while, and so may the
// firmware of a solid-state disk. A small device of its own is best. Keys are
// wiped from memory when they are destroyed, but the collector may have copies
// of what was derived from them until it reuses the memory: run without swap and
// without core dumps.
//
// # What to back up
//
// The pepper, once, offline: without it no reference number finds its person.
// Not the intake key: a freeze ends it, so that bundles that were copied on their
// way end with it, and a copy would keep them readable. The signing key, likewise offline: who has
// it can speak for the ledger, and without it the ledger speaks with a new one that
// nobody has been told of. Never cohorts.keys together with the ledger: whoever has
// an old copy of both reads what a freeze was to end. If cohorts.keys is copied at
// all, against the loss of its disk, then to a place that every freeze reaches too,
// and that no backup of the data directory goes to. When an older copy is put back,
// the ledger destroys again at its start what it knows to be frozen.
//
// # Other places for the keys
//
// Everything that is done with a cohort's key goes through keyring: ensure,
// borrow, state, destroy,
// and for freezes of listed persons nextEpoch and destroyBefore. With HashiCorp Vault's transit engine ensure creates a
// derived key per cohort (deletion_allowed), borrow becomes a call to derive or
// decrypt with the person token as context, and destroy deletes the key; its own
// storage and snapshots are then what must forget. With PKCS#11 the cohort key
// is a CKK_GENERIC_SECRET object that never leaves the token, the record key is
// C_DeriveKey with CKM_HKDF_DERIVE, and destroy is C_DestroyObject; backups of
// the module keep what it deleted. Both cost a round trip per record unless
// record keys are cached, and a cache has to be wiped by destroy.
package vault
