package formats

import (
	"slices"
	"strings"
	"testing"

	"bahi/domain"
)

const ownHeader = "type,id,at,person,registration,restated,district,group,name,birth_year,sex,mobile,photo_id_type,photo_id_number,centre,vaccine,batch,dose,reason,to,request,decision,by"

// The samples of NDJSON, but for the freeze, as rows of own columns.
var ownRowsOfSamples = []string{
	"registration," + id1 + ",2021-01-16T10:05:00+05:30," + ref + ",,,208,HCW,सुनीता देवी,1961,F,9000000001,AADHAAR,234567890123,,,,,,,,,",
	"dose," + id1 + ",2021-01-16," + ref + ",,,208,,,,,,,,208001,COVISHIELD,4120Z001,1,,,,,",
	"dose," + id1 + ",2022-01-16," + ref + ",,,208,,,,,,,,208001,COVISHIELD,4120Z001,precaution,,,,,",
	"registration_withdrawal," + id1 + ",2021-02-18," + ref + ",,,,,,,,,,,,,,,duplicate,,,,",
	"dose_withdrawal," + id1 + ",2021-04-04," + ref + ",,,,,,,,,,,,,,2,entered_in_error,,,,",
	"reversal_request," + id1 + ",2022-01-22T09:00:00+05:30," + ref + ",,,,,,,,,,,,,,,issued_by_mistake,partial,,,",
	"reversal_decision," + id1 + ",2022-01-26T09:00:00+05:30,,,,,,,,,,,,,,,,,,018f3c1e-7a52-7bb0-9a1c-2f64d1c0a009,approve,officer-7",
	"",
	"registration," + id1 + ",2021-01-16T10:05:00+05:30,,,TRUE,208,HCW,सुनीता देवी,1961,F,9000000001,AADHAAR,234567890123,,,,,,,,,",
	"dose," + id1 + ",2021-01-16,," + registered + ",,208,,,,,,,,208001,COVISHIELD,4120Z001,1,,,,,",
	"registration_withdrawal," + id1 + ",2021-02-18,," + registered + ",,,,,,,,,,,,,,duplicate,,,,",
	"dose_withdrawal," + id1 + ",2021-04-04,," + registered + ",,,,,,,,,,,,,2,entered_in_error,,,,",
	"reversal_request," + id1 + ",2022-01-22T09:00:00+05:30,," + registered + ",,,,,,,,,,,,,,issued_by_mistake,partial,,,",
}

func TestOwnColumnsSayWhatNDJSONSays(t *testing.T) {
	t.Parallel()
	var want []string
	for i, s := range samples {
		if ownRowsOfSamples[i] != "" {
			want = append(want, s)
		}
	}
	items := readCSV(t, ownHeader+"\n"+strings.Join(ownRowsOfSamples, "\n"), Options{})
	if got := natives(items); !slices.Equal(got, want) {
		t.Errorf("read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, i := range items {
		if i.ID != id1 || i.Foreign {
			t.Errorf("line %d has id %q, foreign %t", i.Line, i.ID, i.Foreign)
		}
		v := domain.Verdict{Outcome: domain.Accepted}
		if told, later := i.Verdict(v), (Item{Line: i.Line, ID: i.ID}).Of(i.Source()).Verdict(v); told.Line != i.Line || later.Line != i.Line {
			t.Errorf("the verdicts of line %d, at once and later, name line %d and %d", i.Line, told.Line, later.Line)
		}
	}
}

// rowOf writes a row of own columns with these values.
func rowOf(values map[string]string) string {
	var cells []string
	for _, c := range ownColumns {
		cells = append(cells, values[c])
	}
	return strings.Join(cells, ",")
}

func TestOwnRowsRefused(t *testing.T) {
	t.Parallel()
	dose := map[string]string{
		"type": "dose", "id": id1, "at": "2021-01-16", "person": ref, "district": "208", "centre": "208001", "vaccine": "COVISHIELD", "batch": "4120Z001", "dose": "1",
	}
	registration := map[string]string{
		"type": "registration", "id": id1, "at": "2021-01-16", "district": "208", "group": "HCW", "name": "Anita Kumari", "birth_year": "1961", "sex": "F",
		"mobile": "9000000001", "photo_id_type": "AADHAAR", "photo_id_number": "234567890123",
	}
	for _, c := range []struct {
		of            map[string]string
		column, value string
		want          string // code and column
	}{
		{dose, "type", "", "missing_field type"},
		{dose, "type", "jab", "unknown_type type"},
		{dose, "type", "freeze", "not_supported type"},
		{dose, "id", "17", "bad_id id"},
		{dose, "at", "", "missing_field at"},
		{dose, "at", "01/16/2021", "bad_value at"},
		{dose, "at", "16-01-21", "bad_value at"},
		{dose, "at", "2019-01-16", "bad_value at"},
		{dose, "at", "2101-01-16", "in_future at"},
		{dose, "person", "", "missing_field person"},
		{dose, "person", "2.16794E+13", "bad_reference person"},
		{dose, "person", "21679381234567", "bad_reference person"},
		{dose, "registration", registered, "bad_value registration"},
		{dose, "registration", "17", "bad_id registration"},
		{dose, "mobile", "9000000001", "unknown_field mobile"},
		{dose, "restated", "true", "unknown_field restated"},
		{dose, "district", "", "missing_field district"},
		{dose, "district", "Nowhere", "unknown_district district"},
		{dose, "district", "0", "unknown_district district"},
		{dose, "district", "99999999999999999999", "unknown_district district"},
		{dose, "centre", "", "missing_field centre"},
		{dose, "centre", "Sadar Hospital", "bad_value centre"},
		{dose, "centre", "2.08E+05", "bad_value centre"},
		{dose, "vaccine", "COVISHEILD", "bad_value vaccine"},
		{dose, "batch", "4.12E+10", "bad_value batch"},
		{dose, "batch", strings.Repeat("4", 33), "too_long batch"},
		{dose, "dose", "4", "bad_value dose"},
		{registration, "group", "VIP", "bad_value group"},
		{registration, "group", "", "missing_field group"},
		{registration, "name", "Anita; 9000000001", "bad_value name"},
		{registration, "birth_year", "61", "bad_value birth_year"},
		{registration, "birth_year", "1861", "bad_value birth_year"},
		{registration, "sex", "X", "bad_value sex"},
		{registration, "mobile", "9.00000E+09", "bad_value mobile"},
		{registration, "photo_id_type", "Library card", "bad_value photo_id_type"},
		{registration, "photo_id_number", "", "missing_field photo_id_number"},
		{registration, "photo_id_number", "2.34568E+11", "bad_value photo_id_number"},
		{registration, "photo_id_number", "XXXXXXXX0123", "bad_value photo_id_number"},
		{registration, "photo_id_number", "2345", "bad_value photo_id_number"},
		{registration, "restated", "maybe", "bad_value restated"},
		{map[string]string{"type": "reversal_request", "at": "2022-01-22", "person": ref, "to": "partial", "reason": "other"}, "id", "", "missing_field id"},
		{map[string]string{"type": "reversal_decision", "id": id1, "at": "2022-01-22", "request": id2, "by": "officer-7"}, "decision", "maybe", "bad_value decision"},
		{map[string]string{"type": "reversal_decision", "id": id1, "at": "2022-01-22", "decision": "approve", "by": "officer-7"}, "request", "1", "bad_id request"},
		{map[string]string{"type": "dose_withdrawal", "id": id1, "at": "2022-01-22", "person": ref, "dose": "1"}, "reason", "he moved", "bad_value reason"},
	} {
		t.Run(c.want+" "+c.value, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{}
			for k, v := range c.of {
				values[k] = v
			}
			values[c.column] = c.value
			// The neighbours must not notice.
			items := readCSV(t, strings.Join([]string{ownHeader, ownRowsOfSamples[1], rowOf(values), ownRowsOfSamples[2]}, "\n"), Options{})
			if len(items) != 3 || items[0].Reject != nil || items[2].Reject != nil {
				t.Fatalf("the neighbours of a bad row suffered: %v", natives(items))
			}
			got := items[1]
			if natives(items)[1] != c.want || got.Line != 3 || got.Reject == nil || got.Reject.Message == "" {
				t.Errorf("line %d is %s, want %s", got.Line, natives(items)[1], c.want)
			}
			if want := values["id"]; got.ID != want && want != "17" {
				t.Errorf("the verdict would name %q and not %q", got.ID, want)
			}
		})
	}
}

func TestForeignColumnsAmongOwn(t *testing.T) {
	t.Parallel()
	dose := "dose," + id1 + ",2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,1"
	const header = "type,id,at,person,district,centre,vaccine,batch,dose"
	for _, c := range []struct{ name, value, want string }{
		{"address", "Mithanpura", "not_collected address"},
		{"Address Line 1", "Mithanpura", "not_collected column10"},
		{"rt_pcr", "negative", "not_collected rt_pcr"},
		{"colour", "red", "unknown_field colour"},
		{"9000000001", "red", "unknown_field column10"},
		{"रंग", "red", "unknown_field column10"},
		{"groups", "HCW", "unknown_field groups"},
		{"address", " ", samples[1]}, // nothing in it
		{"colour", "", samples[1]},
	} {
		items := readCSV(t, header+","+c.name+",\n"+dose+","+c.value+",\n", Options{})
		if got := natives(items); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s with %q: %s, want %s", c.name, c.value, got, c.want)
		}
	}
	items := readCSV(t, header+",colour,address\n"+dose+",red,Mithanpura\n", Options{})
	if got := natives(items); got[0] != "not_collected address" {
		t.Errorf("an address and an unknown column: %s", got)
	}
}

func TestOptionsFillIn(t *testing.T) {
	t.Parallel()
	input := "type,name,birth_year,sex,mobile,photo_id_type,photo_id_number\nregistration,Anita,1961,F,9000000001,AADHAAR,234567890123\n"
	o := csvOptions
	o.Group = domain.FrontLineWorker
	s, ok := readCSV(t, input, o)[0].Submission.(domain.Registration)
	if !ok || s.District != 208 || s.Group != domain.FrontLineWorker || !s.At.Equal(o.At) {
		t.Errorf("read as %+v", s)
	}
	if got := natives(readCSV(t, input, Options{})); got[0] != "missing_field at" {
		t.Errorf("without options: %s", got)
	}
	d, ok := readCSV(t, "type,at,person,vaccine,batch,dose\ndose,16/01/2021,"+ref+",Covishield,B1,1\n", o)[0].Submission.(domain.DoseGiven)
	if !ok || d.District != 208 || d.Centre != "208001" {
		t.Errorf("read as %+v", d)
	}
}

// The id that is made of a row does not depend on how the row is written, and
// lasts.
func TestIDsOfRows(t *testing.T) {
	t.Parallel()
	id := func(input string) string {
		i := readCSV(t, input, Options{})
		if i[0].Reject != nil {
			t.Fatal(i[0].Reject)
		}
		if i[0].ID != i[0].Submission.Head().ID.String() || !i[0].Foreign {
			t.Errorf("the item has id %q, foreign %t", i[0].ID, i[0].Foreign)
		}
		return i[0].ID
	}
	const columns = "type,at,person,district,centre,vaccine,batch,dose\n"
	dose := id(columns + "dose,2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,1")
	if dose != "ce78b87c-234a-8dcb-972a-e530415f2679" {
		t.Errorf("the id of a row has become %s", dose)
	}
	if again := id("Dose;Batch;vaccine;centre;District;person;at;TYPE;id\nDose 1; 4120Z001;Covishield (SII);208001;Muzaffarpur;" + ref + ".0;16/01/2021;DOSE;\n"); again != dose {
		t.Errorf("written otherwise it is %s", again)
	}
	if other := id(columns + "dose,2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,2"); other == dose {
		t.Error("another dose has the same id")
	}
	const people = "type,at,district,group,name,birth_year,sex,mobile,photo_id_type,photo_id_number,restated\nregistration,2021-01-16,208,HCW,Anita,1961,F,9000000001,AADHAAR,234567890123,"
	if id(people+"true") != id(people) {
		t.Error("stated again a registration has another id")
	}
}
