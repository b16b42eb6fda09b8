package domain

// Details are what is told about a person at registration: the part of the
// ledger that a freeze makes unreadable. In events they lie sealed under the
// cohort's key; in the clear they exist in memory only.
//
// Of the photo-ID number the last four characters are kept: enough for an
// officer to compare a card with, while uniqueness is held by a token.
type Details struct {
	Name         string
	BirthYear    int
	Mobile       string
	PhotoIDType  PhotoIDType
	PhotoIDLast4 string
}

// RegistrationTokens are sealed beside the details: with them the register
// holds a mobile number to its household and a photo ID to one person while the
// cohort is open. A freeze ends that too.
type RegistrationTokens struct {
	Mobile  MobileToken
	PhotoID PhotoIDToken
	Content Digest // of the registration without its id and time
}

// DoseParticulars are what is told about a dose besides what is counted. They
// lie sealed under the person's cohort key; about a frozen person they are not
// kept.
type DoseParticulars struct {
	Centre string
	Batch  string
}
