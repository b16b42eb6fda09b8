package domain

// CheckCentre tells why code cannot be a centre's, or returns nil: 1 to 32 Latin
// letters, digits, - and _, so that it can stand in a subject. The error is a
// *[Rejection].
func CheckCentre(code string) error {
	if r := checkText("centre", code, 32, "-_"); r != nil {
		return r
	}
	return nil
}
