package domain

// CheckOfficer tells why id cannot be an officer's, or returns nil: 1 to 64
// letters, digits or . _ @ -. An officer's id stands in the ledger and in the
// audit; it names an office, not a citizen. The error is a *[Rejection].
func CheckOfficer(id string) error {
	if r := checkOfficer("officer", id); r != nil {
		return r
	}
	return nil
}

func checkOfficer(field, id string) *Rejection { return checkText(field, id, 64, "._@-") }
