package domain

// Code is a stable, documented name of a reason to refuse a submission.
type Code string

// The codes. docs/CODES.md lists them with what to do about each; a test holds
// the two together.
const (
	// Form: the submission cannot be read.
	CodeBadJSON      Code = "bad_json"
	CodeBadCSV       Code = "bad_csv" // a row whose quotes or columns do not come out
	CodeUnknownField Code = "unknown_field"
	CodeNotCollected Code = "not_collected" // an address or a test result
	CodeMissingField Code = "missing_field"
	CodeBadValue     Code = "bad_value"
	CodeTooLong      Code = "too_long"
	CodeBadID        Code = "bad_id"
	CodeBadReference Code = "bad_reference" // not 14 digits, or the check digit does not fit
	CodeUnknownType  Code = "unknown_type"
	CodeNotSupported Code = "not_supported" // of a foreign format: what the ledger cannot do
	CodeNotGiven     Code = "not_given"     // of a foreign format: a dose that was not given

	// Identity of the submission.
	CodeIDReused   Code = "id_reused"
	CodeNotAllowed Code = "not_allowed"
	CodeInFuture   Code = "in_future"

	// Registration.
	CodeUnknownDistrict    Code = "unknown_district"
	CodeAlreadyRegistered  Code = "already_registered"
	CodeAgeOutsideGroup    Code = "age_outside_group"
	CodePhotoIDNotAccepted Code = "photo_id_not_accepted"
	CodePhotoIDTaken       Code = "photo_id_taken"
	CodeMobileFull         Code = "mobile_full"

	// Doses.
	CodeUnknownPerson      Code = "unknown_person"
	CodeBeforeRegistration Code = "before_registration"
	CodeNotEligible        Code = "not_eligible"
	CodeVaccineNotInUse    Code = "vaccine_not_in_use"
	CodeVaccineNotForGroup Code = "vaccine_not_for_group"
	CodeVaccineMismatch    Code = "vaccine_mismatch"
	CodeNotInSeries        Code = "not_in_series" // a third dose of a two-dose vaccine
	CodeDoseMissing        Code = "dose_missing"  // an earlier dose of the series is missing
	CodeDoseExists         Code = "dose_exists"
	CodeIntervalTooShort   Code = "interval_too_short"

	// Withdrawals and reversals.
	CodeHasDoses       Code = "has_doses"
	CodeNotLatest      Code = "not_latest"
	CodeUnknownDose    Code = "unknown_dose"
	CodeNoSuchReversal Code = "no_such_reversal"
	CodePending        Code = "reversal_pending"
	CodeUnknownRequest Code = "unknown_request"
	CodeAlreadyDecided Code = "already_decided"
	CodeTooEarly       Code = "too_early"

	// Freezes.
	CodeAuthorityKeyMissing Code = "authority_key_missing"
)
