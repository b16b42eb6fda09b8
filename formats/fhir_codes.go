package formats

import "bahi/domain"

// Where codes come from. Their identifiers in FHIR are those of
// terminology.hl7.org.
const (
	systemCVX    = "http://hl7.org/fhir/sid/cvx"
	systemSNOMED = "http://snomed.info/sct"
	systemICD11  = "http://id.who.int/icd11/mms"

	systemIdentifierType      = "http://terminology.hl7.org/CodeSystem/v2-0203"
	systemIndiaIdentifierType = "https://nrces.in/ndhm/fhir/r4/CodeSystem/ndhm-identifier-type-code"
)

type systemCode struct{ system, code string }

// vaccineProducts are the codes that name one product: of CVX, of ICD-11 and of
// SNOMED CT's extensions of Canada, Argentina, Belgium and Ireland as the World
// Health Organization maps them to each other in its guide to digital
// documentation of COVID-19 certificates, and one of the United Kingdom's
// dictionary of medicines. AstraZeneca's ChAdOx1 counts as Covishield, the name
// by which it is licensed in India. Codes for a kind of vaccine, such as ICD-11's
// XM1NL1 or those of ATC, tell no product and are not here.
var vaccineProducts = map[systemCode]domain.Vaccine{
	{systemICD11, "XM97T2"}: domain.Covishield,
	{systemICD11, "XM4YL8"}: domain.Covishield,
	{systemICD11, "XM1G90"}: domain.Covaxin,
	{systemICD11, "XM5ZJ4"}: domain.SputnikV,
	{systemICD11, "XM52P3"}: domain.ZyCoVD,

	{systemCVX, "210"}: domain.Covishield,
	{systemCVX, "502"}: domain.Covaxin,
	{systemCVX, "505"}: domain.SputnikV,
	{systemCVX, "514"}: domain.ZyCoVD,
	{systemCVX, "517"}: domain.Corbevax,

	{systemSNOMED, "28961000087105"}:    domain.Covishield,
	{systemSNOMED, "399771000221108"}:   domain.Covishield,
	{systemSNOMED, "424581000221100"}:   domain.Covishield,
	{systemSNOMED, "10891000172107"}:    domain.Covishield,
	{systemSNOMED, "1401000220108"}:     domain.Covishield,
	{systemSNOMED, "39114911000001105"}: domain.Covishield,
	{systemSNOMED, "33211000087105"}:    domain.Covaxin,
	{systemSNOMED, "31341000087103"}:    domain.SputnikV,
	{systemSNOMED, "424711000221100"}:   domain.SputnikV,
	{systemSNOMED, "424971000221108"}:   domain.ZyCoVD,
}

// Extensions that say what the resource has no element for.
const (
	// extensionBrand of the guide of India's Ayushman Bharat Digital Mission
	// holds the name of the product, beside a code for its kind.
	extensionBrand = "https://nrces.in/ndhm/fhir/r4/StructureDefinition/BrandName"

	// extensionProcedure of UK Core holds a code that tells the dose.
	extensionProcedure     = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-VaccinationProcedure"
	extensionProcedureNHSD = "https://fhir.nhs.uk/R4/StructureDefinition/Extension-UKCore-VaccinationProcedure"
)

// procedureDoses are the procedures of SNOMED CT's edition of the United
// Kingdom: administration of first, second and booster dose of a vaccine against
// SARS-CoV-2.
var procedureDoses = map[systemCode]domain.DoseNumber{
	{systemSNOMED, "1324681000000101"}: 1,
	{systemSNOMED, "1324691000000104"}: 2,
	{systemSNOMED, "1362591000000103"}: domain.Precaution,
}

// photoIDTypes are the kinds of identifiers that are photo IDs of the drive: of
// HL7's table 0203, and of the code system that India's guide adds to it.
var photoIDTypes = map[systemCode]domain.PhotoIDType{
	{systemIdentifierType, "PPN"}:      domain.Passport,
	{systemIdentifierType, "DL"}:       domain.DrivingLicence,
	{systemIndiaIdentifierType, "ADN"}: domain.Aadhaar,
	{systemIndiaIdentifierType, "VID"}: domain.VoterID,
	{systemIndiaIdentifierType, "SID"}: domain.StudentID,
	{systemIndiaIdentifierType, "PSC"}: domain.PensionDocument,
}

// systemBeneficiary is the name of a system by which an identifier is a
// reference number of this ledger: what stands behind its last slash, colon or
// dot, in any case and spelling.
const systemBeneficiary = "beneficiaryreferenceid"
