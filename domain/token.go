package domain

// TokenSize is the length of every token in bytes: HMAC-SHA-256 under the
// ledger's pepper, cut to 128 bits.
const TokenSize = 16

// PersonToken stands for a reference number. It is the person's key in events.
type PersonToken [TokenSize]byte

// MobileToken stands for a mobile number. It appears in the sealed part of a
// registration only: ten billion numbers are tried in an hour by whoever holds
// pepper and ledger.
type MobileToken [TokenSize]byte

// PhotoIDToken stands for a photo-ID type and number. It appears in the sealed
// part of a registration, and after a freeze in a sorted set without persons.
type PhotoIDToken [TokenSize]byte

// SubmissionToken stands for the id of a submission, which may be another
// system's.
type SubmissionToken [TokenSize]byte

// Digest stands for the content of a submission, or of a registration without
// its id and time. Equal content gives equal digests.
type Digest [TokenSize]byte
