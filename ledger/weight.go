package ledger

import "bahi/domain"

// weight is what an event adds to a commit beyond entryBytes.
func weight(e domain.Event) int {
	switch e := e.(type) {
	case domain.PersonRegistered:
		return len(e.Sealed) + domain.TokenSize + 2 // born closed, its photo ID is kept beside it
	case domain.DoseAdministered:
		return len(e.Sealed)
	case domain.PhotoIDsKept:
		return len(e.Tokens) * (domain.TokenSize + 2)
	case domain.FreezeOrdered:
		return len(e.Cohorts)*24 + len(e.Moved)*56 + len(e.Rekeyed)*24
	case domain.KeysRewrapped:
		return len(e.Keys) * 90
	case domain.AuthorityKeyAdopted:
		return len(e.Public)
	}
	return 0
}
