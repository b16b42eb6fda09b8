package centre

import (
	"reflect"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/formats"
)

// A verdict that comes after weeks in the spool names what a verdict at once would.
func TestVerdictsAreTheReaders(t *testing.T) {
	t.Parallel()
	const certificate = `{"preEnrollmentCode":"n","recipient":{"name":"N N","dob":"1961-04-30","gender":"Female","identity":"did:in.gov.uidai.aadhaar:999988887777","contact":["tel:9999999999"]},` +
		`"vaccination":{"name":"COVISHIELD","batch":"4120Z001","date":"2021-03-02","dose":1,"totalDoses":2},"programId":"x"}`
	for _, input := range []string{
		string(formats.AppendSubmission(nil, registration(1))),
		"[" + certificate + ",7," + certificate + "]",
		"type,at,person,centre,vaccine,batch,dose\ndose,16/01/2021,21679381234566,208001,Covishield,4120Z001,1\ndose,x,,,,,\n",
	} {
		items, err := formats.Read(strings.NewReader(input), formats.Options{District: 208, Centre: "208001"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for read, err := range items {
			if err != nil {
				t.Fatal(err)
			}
			plain, err := bundle{Items: []item{itemOf(read)}}.encode()
			if err != nil {
				t.Fatal(err)
			}
			kept, err := decodeBundle(plain)
			if err != nil {
				t.Fatal(err)
			}
			answers := []domain.Verdict{{Outcome: domain.Rejected, Reject: read.Reject}}
			if read.Reject == nil {
				answers = []domain.Verdict{{Outcome: domain.Accepted, Commit: 7}}
				for _, field := range []string{"at", "centre", "photo_id", "x", ""} {
					answers = append(answers, domain.Verdict{Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeInFuture, Field: field, Message: "x"}})
				}
			}
			for _, v := range answers {
				if got, want := kept.Items[0].verdict(v), read.Verdict(v); !reflect.DeepEqual(got, want) {
					t.Errorf("line %d: %+v %+v, want %+v %+v", read.Line, got, got.Reject, want, want.Reject)
				}
			}
			n++
		}
		if n == 0 {
			t.Errorf("nothing in %s", input)
		}
	}
}
