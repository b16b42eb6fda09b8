package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bahi/formats"
)

// verdict is one line of what submit prints.
type verdict struct {
	ID, Verdict, Person, Code, Field, Message string
	Line                                      int
	Commit                                    uint64
}

func verdicts(t *testing.T, stdout string) (all []verdict) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

// lineID is the id of the n-th submission of a test's input.
func lineID(n int) string { return fmt.Sprintf("018f3c1e-0000-7000-8000-%012d", n) }

// dose is a line that a ledger of testdata/people.ndjson accepts, with some of
// its members replaced.
func dose(id int, replace ...string) string {
	members := map[string]string{
		"type": `"dose"`, "id": `"` + lineID(id) + `"`, "at": `"2021-02-14"`, "person": `"20000000000025"`, "district": `208`,
		"centre": `"208001"`, "vaccine": `"COVAXIN"`, "batch": `"37F20002"`, "dose": `2`,
	}
	return object(members, replace)
}

// registration is likewise a line that is accepted.
func registration(id int, replace ...string) string {
	members := map[string]string{
		"type": `"registration"`, "id": `"` + lineID(id) + `"`, "at": `"2021-03-03T10:00:00+05:30"`, "district": `208`, "group": `"FLW"`,
		"name": `"Lakshmi Kumari"`, "birth_year": `1988`, "sex": `"F"`, "mobile": fmt.Sprintf(`"91%08d"`, id),
		"photo_id": fmt.Sprintf(`{"type":"AADHAAR","number":"1111%08d"}`, id),
	}
	return object(members, replace)
}

func object(members map[string]string, replace []string) string {
	for i := 0; i < len(replace); i += 2 {
		members[replace[i]] = replace[i+1]
	}
	b, _ := json.Marshal(rawMembers(members))
	return string(b)
}

func rawMembers(members map[string]string) map[string]json.RawMessage {
	raw := map[string]json.RawMessage{}
	for name, value := range members {
		raw[name] = json.RawMessage(value)
	}
	return raw
}

// people makes a sandbox ledger of testdata/people.ndjson.
func people(t *testing.T) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "ledger")
	mustExit(t, exitDone, nil, "submit", "--data", data, "--sandbox", filepath.Join("testdata", "people.ndjson"))
	return data
}

// TestBadLines puts every bad line between two good ones of one bundle: it gets
// its code and a message, and they are accepted.
func TestBadLines(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, line  string
		code, field string
	}{
		{"not JSON", `{"type":"dose"`, "bad_json", ""},
		{"no object", `["dose"]`, "bad_json", ""},
		{"not UTF-8", "{\"type\":\"dose\",\"batch\":\"\xff\xfe\"}", "bad_json", ""},
		{"a member twice", `{"type":"dose","type":"dose"}`, "bad_json", "type"},
		{"an unknown field", dose(100, "colour", `"green"`), "unknown_field", "colour"},
		{"an unknown field that may be somebody's name", dose(101, "Sita Devi", `1`), "unknown_field", ""},
		{"a field of another type", dose(102, "name", `"Sita Devi"`), "unknown_field", "name"},
		{"an address", registration(103, "address", `"Ward 7, Kanti"`), "not_collected", "address"},
		{"an address inside", registration(104, "photo_id", `{"type":"AADHAAR","number":"111100000104","pin_code":"842001"}`), "not_collected", "pin_code"},
		{"a test result", registration(105, "rtpcr_result", `"negative"`), "not_collected", "rtpcr_result"},
		{"no type", dose(106, "type", `null`), "unknown_type", "type"},
		{"an unknown type", dose(107, "type", `"vaccination"`), "unknown_type", "type"},
		{"an id that is none", dose(0, "id", `"7"`), "bad_id", "id"},
		{"a wrong check digit", dose(108, "person", `"20000000000026"`), "bad_reference", "person"},
		{"a reference number too short", dose(109, "person", `"2000000000002"`), "bad_reference", "person"},
		{"nobody's reference number", dose(110, "person", `"20000000000143"`), "unknown_person", "person"},
		{"a third dose of a two-dose vaccine", dose(111, "dose", `3`), "not_in_series", "dose"},
		{"a fifth dose", dose(112, "dose", `5`), "bad_value", "dose"},
		{"an unknown vaccine", dose(113, "vaccine", `"WATER"`), "bad_value", "vaccine"},
		{"another vaccine than before", dose(114, "vaccine", `"COVISHIELD"`), "vaccine_mismatch", "vaccine"},
		{"too early", dose(115, "at", `"2021-02-01"`), "interval_too_short", "at"},
		{"an unknown district", dose(116, "district", `9999`), "unknown_district", "district"},
		{"a district of no code", registration(117, "district", `"Muzaffarpur"`), "bad_value", "district"},
		{"a date in the far future", dose(118, "at", `"2199-02-14"`), "in_future", "at"},
		{"a date that is none", dose(119, "at", `"2021-02-30"`), "bad_value", "at"},
		{"a name with markup", registration(120, "name", `"<b>Sita</b>"`), "bad_value", "name"},
		{"a long name", registration(121, "name", `"`+strings.Repeat("स", 101)+`"`), "too_long", "name"},
		{"a mobile number of nine digits", registration(122, "mobile", `"900000000"`), "bad_value", "mobile"},
		{"a second person with the same photo ID", registration(123, "photo_id", `{"type":"AADHAAR","number":"123456780001"}`), "photo_id_taken", "photo_id"},
		{"a second photo ID for one person", registration(124, "person", `"20000000000018"`), "already_registered", "person"},
		{"a child among health workers", registration(125, "birth_year", `2012`), "age_outside_group", "birth_year"},
		{"no name", registration(126, "name", `""`), "missing_field", "name"},
		{"a very long line", registration(0, "name", `"`+strings.Repeat("x", formats.MaxLine)+`"`), "too_long", ""},
		{"a null byte", "\x00", "bad_json", ""},
		{"deep nesting", strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "bad_json", ""},
	}
	var input strings.Builder
	for i, c := range cases {
		fmt.Fprintf(&input, "%s\n%s\n", registration(1000+i), c.line)
	}
	fmt.Fprintln(&input, registration(1000+len(cases)))
	o := mustExit(t, exitRejected, strings.NewReader(input.String()), "submit", "--data", people(t), "-")
	got := verdicts(t, o.stdout)
	if len(got) != 2*len(cases)+1 {
		t.Fatalf("%d verdicts for %d lines", len(got), 2*len(cases)+1)
	}
	for i, c := range cases {
		good, bad := got[2*i], got[2*i+1]
		if good.Verdict != "accepted" || good.ID != lineID(1000+i) {
			t.Errorf("the line before %s: %+v", c.name, good)
		}
		if bad.Verdict != "rejected" || bad.Code != c.code || bad.Field != c.field || bad.Message == "" {
			t.Errorf("%s: %+v", c.name, bad)
		}
		if bad.ID == "" && bad.Line != 2*i+2 {
			t.Errorf("%s: line %d, want %d", c.name, bad.Line, 2*i+2)
		}
		for _, told := range []string{"Sita", "Lakshmi", "Kanti", "842001", "negative", "12345678", "900000000", "2000000000002"} {
			if strings.Contains(bad.Message, told) || strings.Contains(bad.Field, told) {
				t.Errorf("%s: the verdict repeats %q", c.name, told)
			}
		}
	}
	if last := got[len(got)-1]; last.Verdict != "accepted" {
		t.Errorf("the last line: %+v", last)
	}
	if want := fmt.Sprintf("%d accepted, 0 duplicate, %d rejected\n", len(cases)+1, len(cases)); o.stderr != want {
		t.Errorf("stderr %q, want %q", o.stderr, want)
	}
}

// TestRealTimeFuture: in a ledger of real time tomorrow has not happened.
func TestRealTimeFuture(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "ledger")
	line := registration(1, "at", `"2098-01-01"`)
	o := mustExit(t, exitRejected, strings.NewReader(line), "submit", "--data", data, "-")
	if v := verdicts(t, o.stdout); len(v) != 1 || v[0].Code != "in_future" || v[0].Field != "at" {
		t.Errorf("%+v", v)
	}
}

// TestOddFiles are files that are not quite text, or nothing.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	garbage := make([]byte, 300_000)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(garbage)
	one := registration(1)
	for _, c := range []struct {
		name     string
		input    string
		code     int
		verdicts int // -1: as many as there are
	}{
		{"a byte order mark and CRLF", "\xEF\xBB\xBF" + one + "\r\n" + registration(2) + "\r\n", exitDone, 2},
		{"no line break at the end", one, exitDone, 1},
		{"empty", "", exitDone, 0},
		{"blank lines", "\n\r\n  \n" + one + "\n\n", exitDone, 1},
		{"a byte order mark alone", "\xEF\xBB\xBF", exitDone, 0},
		{"UTF-16", "\xFF\xFE{\x00}\x00\n\x00", exitRejected, 1},
		{"one line of a megabyte", `{"type":"dose","batch":"` + strings.Repeat("x", 1<<20) + `"}` + "\n" + one, exitRejected, 2},
		{"garbage", string(garbage), exitRejected, -1},
		{"a table without a column type", "id,name\n1,Sita\n", exitRejected, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "input")
			if err := os.WriteFile(file, []byte(c.input), 0o600); err != nil {
				t.Fatal(err)
			}
			o := mustExit(t, c.code, nil, "submit", "--data", filepath.Join(dir, "ledger"), "--sandbox", file)
			got := verdicts(t, o.stdout)
			if c.verdicts >= 0 && len(got) != c.verdicts {
				t.Errorf("%d verdicts, want %d: %s", len(got), c.verdicts, o.stdout)
			}
			accepted := 0
			for _, v := range got {
				if v.Verdict == "accepted" {
					accepted++
				} else if v.Code == "" || v.Line == 0 {
					t.Errorf("%+v", v)
				}
			}
			if want := strings.Count(c.input, "Lakshmi Kumari"); accepted != want {
				t.Errorf("%d accepted, want %d", accepted, want)
			}
			if bytes.Contains([]byte(o.stdout), []byte("Sita")) {
				t.Error("a verdict repeats what it was given")
			}
		})
	}
}
