package formats

import (
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

// readings is a table of what one reader makes of what; an error is told by its
// first words.
type readings map[string]string

func (table readings) check(t *testing.T, read func(string) (string, *reason)) {
	t.Helper()
	for in, want := range table {
		got, wrong := read(in)
		if wrong != nil {
			got = string(wrong.code) + ": " + wrong.message
		}
		if got != want && (wrong == nil || !strings.HasPrefix(got, want) || want == "") {
			t.Errorf("%q read as %q, want %q", in, got, want)
		}
	}
}

func TestReadDay(t *testing.T) {
	t.Parallel()
	readings{
		"2021-01-16":                    "2021-01-16T00:00:00+05:30",
		" 2021-01-16 ":                  "2021-01-16T00:00:00+05:30",
		"\u00a02021-01-16\ufeff":        "2021-01-16T00:00:00+05:30",
		"2021-01-16T10:05:00+05:30":     "2021-01-16T10:05:00+05:30",
		"2020-12-02T19:21:18.646Z":      "2020-12-03T00:51:18.646+05:30",
		"2021-01-16T10:05:00":           "2021-01-16T10:05:00+05:30",
		"2021-01-16 10:05":              "2021-01-16T10:05:00+05:30",
		"2021/1/16":                     "2021-01-16T00:00:00+05:30",
		"16-01-2021":                    "2021-01-16T00:00:00+05:30",
		"16/01/2021":                    "2021-01-16T00:00:00+05:30",
		"16.1.2021":                     "2021-01-16T00:00:00+05:30",
		"16/01/2021 10:05":              "2021-01-16T10:05:00+05:30",
		"16-01-2021 01:05:30 pm":        "2021-01-16T13:05:30+05:30",
		"16-Jan-2021":                   "2021-01-16T00:00:00+05:30",
		"16 january 2021":               "2021-01-16T00:00:00+05:30",
		"16 Sept 2021":                  "2021-09-16T00:00:00+05:30",
		"१६-०१-२०२१":                    "2021-01-16T00:00:00+05:30",
		"২০২১-০১-১৬":                    "2021-01-16T00:00:00+05:30",
		"03/04/2021":                    "2021-04-03T00:00:00+05:30", // both ways: day first
		"44212":                         "2021-01-16T00:00:00+05:30",
		"44212.5":                       "2021-01-16T12:00:00+05:30",
		"44212.0":                       "2021-01-16T00:00:00+05:30",
		"12956":                         "1935-06-21T00:00:00+05:30",
		"29-02-2020":                    "2020-02-29T00:00:00+05:30",
		"":                              "missing_field",
		" ":                             "missing_field",
		"03/21/2021":                    "bad_value: the date has the month before the day",
		"16-01-21":                      "bad_value: the date has a year of two digits",
		"16-Jan-21":                     "bad_value: the date has a year of two digits",
		"29-02-2021":                    "bad_value: there is no such day",
		"2021-02-30":                    "bad_value: there is no such day",
		"2021-13-40":                    "bad_value: there is no such day",
		"0-1-2021":                      "bad_value: there is no such day",
		"2021":                          "bad_value: this is a year",
		"2021-01":                       "bad_value: a date is written",
		"Jan 16, 2021":                  "bad_value: a date is written",
		"20210116":                      "bad_value: a date is written",
		"9999":                          "bad_value: this is a year",
		"99999":                         "bad_value: a date is written",
		"4.4212E+04":                    "bad_value: a date is written",
		"16-01-2021 25:00":              "bad_value: a time of day",
		"16-01-2021 10:05 +05:30":       "bad_value: a time of day",
		"yesterday":                     "bad_value: a date is written",
		"10:05":                         "bad_value: a date is written",
		"-":                             "bad_value: a date is written",
		"1-2-3-4":                       "bad_value: a date is written",
		strings.Repeat("1/", 1000):      "bad_value: a date is written",
		"99999999999999999999-01-2021":  "bad_value: a date is written",
		"16-01-99999999999999999999999": "bad_value: a date is written",
	}.check(t, func(s string) (string, *reason) {
		at, wrong := readDay(s)
		return at.In(domain.IndianStandardTime).Format(time.RFC3339Nano), wrong
	})
}

func TestReadBirthYear(t *testing.T) {
	t.Parallel()
	readings{
		"1961": "1961", "१९६१": "1961", "1961.0": "1961", "1935-06-22": "1935", "22/06/1935": "1935", "30-Nov-1994": "1994", "12956": "1935",
		"1994-12-31T20:00:00Z": "1995", // in India it is the new year
		"":                     "missing_field",
		"61":                   "bad_value: a year of birth has four digits",
		"06/22/1935":           "bad_value: the date has the month before",
		"22-06-35":             "bad_value: the date has a year of two",
	}.check(t, func(s string) (string, *reason) {
		year, wrong := readBirthYear(s)
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006"), wrong
	})
	on := domain.Date(2021, time.March, 1).Start()
	readings{
		"60": "1961", "६०": "1961", "60.0": "1961", "0": "2021", "": "missing_field", "-1": "bad_value", "old": "bad_value", "131": "bad_value", "60+": "bad_value",
	}.check(t, func(s string) (string, *reason) {
		year, wrong := birthYearOfAge(s, on)
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006"), wrong
	})
}

func TestReadMobile(t *testing.T) {
	t.Parallel()
	readings{
		"9880414889": "9880414889", "tel:9880414889": "9880414889", "TEL:+91-98804 14889": "9880414889", "+919880414889": "9880414889",
		"919880414889": "9880414889", "09880414889": "9880414889", "00919880414889": "9880414889", "98804 14889": "9880414889", "(98804) 14-889": "9880414889",
		"9880414889.0": "9880414889", "९८८०४१४८८९": "9880414889", "9109090909": "9109090909",
		"":            "missing_field",
		"9.88041E+09": "bad_value: the number is in scientific notation", "9,88041E+09": "bad_value: the number is in scientific notation",
		"9.88e9": "bad_value: the number is in scientific notation", "9E+9": "bad_value: the number is in scientific notation",
		"988041488": "bad_value: a mobile number", "5880414889": "bad_value: a mobile number", "98804148891": "bad_value: a mobile number",
		"tel:": "bad_value: a mobile number", "98804x4889": "bad_value: a mobile number", "+919880414889;9880414880": "bad_value: a mobile number",
	}.check(t, readMobile)
}

func TestReadReference(t *testing.T) {
	t.Parallel()
	readings{
		ref: ref, " " + ref + " ": ref, ref + ".0": ref, "2167 9381 2345 66": ref, "२१६७९३८१२३४५६६": ref,
		"":               "missing_field",
		"2.16794E+13":    "bad_reference: the number is in scientific notation",
		"21679381234500": "bad_reference: the check digit",
		"2167938123456":  "bad_reference: a reference number has 14 digits",
		"1112":           "bad_reference: a reference number has 14 digits",
	}.check(t, func(s string) (string, *reason) {
		r, wrong := readReference(s)
		return string(r), wrong
	})
}

func TestReadCodes(t *testing.T) {
	t.Parallel()
	readings{
		"F": "F", "f": "F", "Female": "F", "FEMALE ": "F", "2": "F", "महिला": "F", "M": "M", "male": "M", "1": "M", "पुरुष": "M", "T": "T", "Transgender": "T", "Other": "T", "3": "T", "३": "T",
		"": "missing_field", "?": "bad_value: sex is", "X": "bad_value: sex is", "4": "bad_value: sex is", "femal": "bad_value: sex is",
	}.check(t, func(s string) (string, *reason) {
		v, wrong := readSex(s)
		return v.String(), wrong
	})
	readings{
		"COVISHIELD": "COVISHIELD", "Covishield": "COVISHIELD", "covi-shield": "COVISHIELD", "Covishield (ChAdOx1 nCoV-19)": "COVISHIELD", "COVISHIELD, Serum Institute of India": "COVISHIELD",
		"COVAXIN": "COVAXIN", "Covaxin [BBV152]": "COVAXIN", "Sputnik V": "SPUTNIK_V", "SPUTNIK_V": "SPUTNIK_V", "corbevax": "CORBEVAX", "ZyCoV-D": "ZYCOV_D", "ZYCOV_D_2DOSE": "ZYCOV_D_2DOSE",
		"": "missing_field", "CoVax": "bad_value: a vaccine is one of", "Sputnik Light": "bad_value", "COVISHEILD": "bad_value", "Covishield Covaxin": "bad_value",
		"ZyCoV-D (two doses)": "bad_value", "(COVISHIELD)": "bad_value", "?": "bad_value", " ": "missing_field", strings.Repeat("Covishield ", 100): "bad_value",
	}.check(t, func(s string) (string, *reason) {
		v, wrong := readVaccine(s)
		return v.String(), wrong
	})
	readings{
		"1": "1", " 2 ": "2", "3.0": "3", "१": "1", "Dose 1": "1", "dose-2": "2", "1st": "1", "First Dose": "1", "2nd dose": "2", "precaution": "precaution", "Precaution Dose": "precaution", "Booster": "precaution",
		"": "missing_field", "0": "bad_value", "4": "bad_value", "1.5": "bad_value", "one": "bad_value", "dose": "bad_value", "?": "bad_value", "-1": "bad_value",
	}.check(t, func(s string) (string, *reason) {
		v, wrong := readDose(s)
		return v.String(), wrong
	})
	readings{
		"1/2": "1", "2/2": "2", "3/2": "precaution", "4/3": "precaution", "3/3": "3", "1/": "1", "3/": "3", "3/two": "3", "precaution/2": "precaution", "3/0": "3",
		"4/2": "bad_value: a series is followed", "/2": "missing_field", "x/2": "bad_value: a dose is",
	}.check(t, func(s string) (string, *reason) {
		dose, total, _ := strings.Cut(s, "/")
		v, wrong := readDoseOf(dose, total)
		return v.String(), wrong
	})
}

func TestReadPhotoID(t *testing.T) {
	t.Parallel()
	readings{
		"|did:in.gov.uidai.aadhaar:234567890123": "AADHAAR 234567890123", "|did:in.gov.uidai.aadhaar:2345 6789 0123": "AADHAAR 234567890123",
		"|did:in.gov.driverlicense:KA53/2323423": "DRIVING_LICENCE KA53/2323423", "|DID:in.gov.driverlicense:cvghgv1": "DRIVING_LICENCE CVGHGV1",
		"AADHAAR|2345-6789-0123": "AADHAAR 234567890123", "1|234567890123.0": "AADHAAR 234567890123", "Aadhaar Card|234567890123": "AADHAAR 234567890123", "aadhar|२३४५६७८९०१२३": "AADHAAR 234567890123",
		"2|DL1": "DRIVING_LICENCE DL1", "Driving License|DL1": "DRIVING_LICENCE DL1", "6|ABCDE1234F": "PAN ABCDE1234F", "8|A1234567": "PASSPORT A1234567", "9|PP1": "PENSION_DOCUMENT PP1",
		"12|abc1234567": "EPIC ABC1234567", "Voter ID (EPIC)|ABC1234567": "EPIC ABC1234567", "NPR Smart Card|1234567890123456": "NPR_SMART_CARD 1234567890123456", "UDID|A": "UDID A", "Student Photo ID card|7": "STUDENT_ID 7",
		"|": "missing_field", "1|": "missing_field: the number", "|did:in.gov.uidai.aadhaar:": "missing_field: the number",
		"|234567890123": "bad_value: an identity", "|did:in": "bad_value: an identity", "|did:in.gov.library:1": "bad_value: a photo-ID type", "3|1": "bad_value: a photo-ID type",
		"16|1": "bad_value: a ration card", "1|2.34568E+11": "bad_value: the number is in scientific", "1|XXXXXXXX0001": "bad_value: the number of the photo ID is masked", "1|********0001": "bad_value: the number of the photo ID is masked",
	}.check(t, func(s string) (string, *reason) {
		kind, number, _ := strings.Cut(s, "|")
		id, wrong := readPhotoID(kind, number)
		return id.Type.String() + " " + id.Number, wrong
	})
}

func TestReadDistrictName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]domain.District{
		"Muzaffarpur|Bihar": 208, "MUZAFFARPUR|": 208, " muzaffar pur | bihar": 208, "Muzaffarpur District|Bihar": 208, "Kaimur Dist.|Bihar": 0, "Muzaffarpur|Behar": 208, "Mūzaffarpur|": 208,
		"Muzaffarpur|Karnataka": 0, "Aurangabad|Bihar": 189, "Aurangabad|": 0, "Aurangabad|Behar": 0,
		"Kaimur|Bihar": 200, "East Champaran|Bihar": 213, "Chennai|Tamilnadu": 568, "Bangalore|Karnataka": 525, "Bengaluru|Karnataka": 525, "Bijapur|Karnataka": 530, "Bijapur|Chhattisgarh": 636, "Bijapur|": 0,
		"Dakshin Dinajpur|West Bengal": 310, "Allahabad|": 120, "|": 0, "District|": 0, "Nowhere|Bihar": 0, "Bengaluru South|Karnataka": 0, "मुजफ्फरपुर|": 0,
	} {
		name, state, _ := strings.Cut(in, "|")
		got, ok := readDistrictName(name, state)
		if got != want || ok != (want != 0) {
			t.Errorf("%q is %d (%s), want %d", in, got, domain.DistrictName(got), want)
		}
	}
	for _, d := range domain.Districts() {
		if got, ok := readDistrictName(strings.ToLower(domain.DistrictName(d)), domain.StateName(d)); !ok || got != d {
			t.Errorf("%s of %s is %d, want %d", domain.DistrictName(d), domain.StateName(d), got, d)
		}
	}
}

func TestAgeGroup(t *testing.T) {
	t.Parallel()
	for year, want := range map[int]domain.Group{
		1900: domain.Age60Plus, 1962: domain.Age60Plus, 1963: domain.Age45To60, 1977: domain.Age45To60, 1978: domain.Age18To44, 2004: domain.Age18To44,
		2005: domain.Age15To17, 2007: domain.Age15To17, 2008: domain.Age12To14, 2010: domain.Age12To14, 2011: 0, 2030: 0,
	} {
		if got, wrong := ageGroup(year); got != want || (wrong == nil) != (want != 0) {
			t.Errorf("%d is %s, want %s", year, got, want)
		}
	}
}

// What these ids are made of never changes, or what was submitted before would
// not be known again.
func TestForeignIDsLast(t *testing.T) {
	t.Parallel()
	got := ForeignID("person", "registration", "AADHAAR", "234567890123")
	if got.String() != "1f362259-69c2-8859-8da5-43d20609a644" || got != registrationID(domain.PhotoID{Type: domain.Aadhaar, Number: "234567890123"}) {
		t.Error(got)
	}
	seen := map[domain.UUID][]string{}
	for _, parts := range [][]string{{"a", "b"}, {"a", "b", ""}, {"a", "b", "", ""}, {"a", "", "b"}, {"", "a", "b"}, {"ab", ""}, {"a", "b", "c"}, {"a", "bc"}, {"a", "b", "1", "23"}, {"a", "b", "12", "3"}} {
		id := ForeignID(parts[0], parts[1], parts[2:]...)
		if twin := seen[id]; twin != nil {
			t.Errorf("%q and %q have one id", parts, twin)
		}
		seen[id] = parts
		if back, err := domain.ParseUUID(id.String()); err != nil || back != id || id.String()[14] != '8' || !strings.ContainsRune("89ab", rune(id.String()[19])) {
			t.Errorf("%s is no UUID of version 8", id)
		}
	}
}

// FuzzValues gives anything to every reader: none panics, and each answers with a
// value or a reason in words.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"", "2021-01-16", "16/01/2021 10:05 PM", "44212.5", "9.88041E+09", "tel:+91-9880414889", "did:in.gov.uidai.aadhaar:234567890123", "१६-०१-२०२१", "Muzaffarpur", "\xff\xfe", "Covishield (x)"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		_, w1 := readDay(a)
		_, w2 := readBirthYear(a)
		_, w3 := readMobile(a)
		_, w4 := readReference(a)
		_, w5 := readSex(a)
		_, w6 := readVaccine(a)
		_, w7 := readDoseOf(a, b)
		_, w8 := readPhotoID(a, b)
		_, w9 := birthYearOfAge(a, time.Unix(0, 0))
		if d, ok := readDistrictName(a, b); ok && !domain.KnownDistrict(d) {
			t.Fatal(d)
		}
		for _, wrong := range []*reason{w1, w2, w3, w4, w5, w6, w7, w8, w9} {
			if wrong != nil && (wrong.code == "" || wrong.message == "") {
				t.Fatal("a reason without words")
			}
		}
	})
}
