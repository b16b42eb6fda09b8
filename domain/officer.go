package domain

// CheckOfficer tells why id cannot be an officer's, or returns nil: 1 to 64
// letters, digits or . _ @ -. An officer's id stands in the ledger and in the
// audit; it names an office, not a citizen.
func CheckOfficer(id string) error {
	if r := checkText("officer", id, 64, "._@-"); r != nil {
		return r
	}
	return nil
}
