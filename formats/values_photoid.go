package formats

import (
	"strings"

	"bahi/domain"
)

var (
	errPhotoIDType = func() *reason {
		_, err := domain.ParsePhotoIDType("")
		return badValue(err.Error())
	}()
	errRationCard = badValue("a ration card is not among the documents of the rules; use another")
	errIdentity   = badValue("an identity is written did:in.gov.uidai.aadhaar: with the number behind it, or did:in.gov.driverlicense:")
	errMasked     = badValue("the number of the photo ID is masked; give all of it")
	errNoNumber   = &reason{domain.CodeMissingField, "the number of the photo ID is missing"}
)

// readPhotoID reads a photo ID. The type is a code of ours, a document's name, or
// a photo_id_type of CoWIN; where a source has both in one value, an identity of
// DIVOC such as did:in.gov.uidai.aadhaar:234567890123, that is the number and the
// type is empty. The number comes back as [domain.Normalise] leaves it.
func readPhotoID(kind, number string) (domain.PhotoID, *reason) {
	kind, number = trimmed(kind), trimmed(number)
	if kind == "" {
		if number == "" {
			return domain.PhotoID{}, errEmpty
		}
		var ok bool
		if kind, number, ok = splitIdentity(number); !ok {
			return domain.PhotoID{}, errIdentity
		}
	}
	t, wrong := photoIDType(kind)
	if wrong != nil {
		return domain.PhotoID{}, wrong
	}
	number = strings.ToUpper(without(wholeNumber(westernDigits(number)), " -\u00a0"))
	switch {
	case number == "":
		return domain.PhotoID{}, errNoNumber
	case isScientific(number):
		return domain.PhotoID{}, errScientific
	case strings.Contains(number, "XXXX") || strings.ContainsRune(number, '*'):
		return domain.PhotoID{}, errMasked
	}
	return domain.PhotoID{Type: t, Number: number}, nil
}

// splitIdentity takes an identity of DIVOC apart. Its method names the issuer,
// in.gov.uidai.aadhaar, and ends in the document's name.
func splitIdentity(did string) (kind, number string, ok bool) {
	if len(did) < len("did:") || !strings.EqualFold(did[:len("did:")], "did:") {
		return "", "", false
	}
	method, number, ok := strings.Cut(did[len("did:"):], ":")
	return method[strings.LastIndexByte(method, '.')+1:], number, ok
}

// photoIDType reads a type by code, by name, or by number: the numbers are those
// which apps for the portal's beneficiaries sent to it as photo_id_type. The
// portal's list had more; what is not known for sure is refused.
func photoIDType(s string) (domain.PhotoIDType, *reason) {
	var space [foldedLength]byte
	switch string(appendFolded(space[:0], westernDigits(s))) {
	case "aadhaar", "aadhar", "aadhaarcard", "aadharcard", "1":
		return domain.Aadhaar, nil
	case "drivinglicence", "drivinglicense", "driverlicence", "driverlicense", "2":
		return domain.DrivingLicence, nil
	case "pan", "pancard", "6":
		return domain.PANCard, nil
	case "passport", "8":
		return domain.Passport, nil
	case "pensiondocument", "pensionpassbook", "9":
		return domain.PensionDocument, nil
	case "epic", "voterid", "voteridcard", "voteridepic", "12":
		return domain.VoterID, nil
	case "nprsmartcard":
		return domain.NPRSmartCard, nil
	case "udid", "uniquedisabilityid", "uniquedisabilityidudid", "uniquedisabilityidentificationcardudid":
		return domain.DisabilityID, nil
	case "studentid", "studentphotoidcard", "studentidcard":
		return domain.StudentID, nil
	case "rationcard", "rationcardwithphoto", "16":
		return 0, errRationCard
	}
	return 0, errPhotoIDType
}
