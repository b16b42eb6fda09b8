package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bahi/domain"
)

func uuid(t testing.TB, s string) domain.UUID {
	t.Helper()
	u, err := domain.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Tokens are the ledger's keys: under the same pepper they are the same for ever.
func TestTokensGolden(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	var b strings.Builder
	line := func(name string, token [domain.TokenSize]byte) { fmt.Fprintf(&b, "%-40s %x\n", name, token) }
	line("pepper", v.PepperID())
	line("person 21679381234566", v.PersonToken(reference))
	line("mobile 9000000001", v.MobileToken("9000000001"))
	for kind := domain.Aadhaar; kind <= domain.StudentID; kind++ {
		line("photo-id "+kind.String()+" 999900001111", v.PhotoIDToken(domain.PhotoID{Type: kind, Number: "999900001111"}))
	}
	id := uuid(t, "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001")
	line("submission "+id.String(), v.SubmissionToken(id))
	for _, s := range submissions(t) {
		if f, ok := s.(domain.Freeze); ok { // the file is older than lists of persons
			f.Persons = nil
			s = f
		}
		line(fmt.Sprintf("content %T", s), v.SubmissionDigest(s))
	}
	line("registration", v.RegistrationDigest(submissions(t)[0].(domain.Registration)))
	for counter := range uint8(3) {
		fmt.Fprintf(&b, "%-40s %s\n", fmt.Sprintf("reference %d", counter), v.IssueReference(id, counter))
	}
	head := domain.Heading{ID: id, At: time.Date(2021, 1, 16, 0, 0, 0, 0, domain.IndianStandardTime)}
	for _, s := range []domain.Submission{
		domain.DoseGiven{Heading: head, Registration: domain.UUID{1}, District: 208, Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1},
		domain.RegistrationWithdrawal{Heading: head, Registration: domain.UUID{1}, Reason: domain.ReasonDuplicate},
		domain.DoseWithdrawal{Heading: head, Registration: domain.UUID{1}, Number: 2, Reason: domain.ReasonDuplicate},
		domain.ReversalRequest{Heading: head, Registration: domain.UUID{1}, To: domain.Partial, Reason: domain.ReasonIssuedByMistake},
	} {
		line(fmt.Sprintf("content %T by registration", s), v.SubmissionDigest(s))
	}
	golden(t, "tokens.golden", []byte(b.String()))
}

// The construction as the doc comment gives it, with nothing of this package.
func TestTokensByTheDocument(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	document := func(message string) [16]byte {
		mac := hmac.New(sha256.New, []byte("a pepper of thirty-two bytes, ok"))
		mac.Write([]byte(message))
		return [16]byte(mac.Sum(nil))
	}
	if v.PersonToken(reference) != document("person\x0021679381234566") {
		t.Error("person")
	}
	if v.MobileToken("9000000001") != document("mobile\x009000000001") {
		t.Error("mobile")
	}
	if v.PhotoIDToken(domain.PhotoID{Type: domain.PANCard, Number: "ABCDE1234F"}) != document("photo-id\x00PAN\x00ABCDE1234F") {
		t.Error("photo ID")
	}
}

func TestTokensOfOneTextDiffer(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	const text = "21679381234566"
	seen := map[[16]byte]string{}
	for name, token := range map[string][16]byte{
		"person":          v.PersonToken(text),
		"mobile":          v.MobileToken(text),
		"Aadhaar":         v.PhotoIDToken(domain.PhotoID{Type: domain.Aadhaar, Number: text}),
		"voter id":        v.PhotoIDToken(domain.PhotoID{Type: domain.VoterID, Number: text}),
		"another pepper":  (&Vault{pepper: newPepper(make([]byte, 32))}).PersonToken(text),
		"number of none":  v.PersonToken(""),
		"mobile of none":  v.MobileToken(""),
		"photo-ID number": v.MobileToken("AADHAAR\x00" + text),
	} {
		if other, ok := seen[token]; ok {
			t.Errorf("%s and %s have one token", name, other)
		}
		seen[token] = name
	}
}

func TestTokensConcurrently(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	var want [64]domain.MobileToken
	for i := range want {
		want[i] = v.MobileToken(fmt.Sprint(9000000000 + i))
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 2000 {
				if v.MobileToken(fmt.Sprint(9000000000+i%64)) != want[i%64] {
					t.Error("a token changed under concurrent use")
					return
				}
			}
		})
	}
	group.Wait()
}

func TestIssueReference(t *testing.T) {
	t.Parallel()
	v := fixedPepper()
	seen := map[domain.Reference]bool{}
	for i := range 2000 {
		id := domain.UUID{byte(i >> 8), byte(i)}
		for counter := range uint8(2) {
			r := v.IssueReference(id, counter)
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			if r[0] == '0' {
				t.Fatal("a reference number begins with 0")
			}
			if r != v.IssueReference(id, counter) {
				t.Fatal("a retry gets another number")
			}
			if seen[r] {
				t.Fatal("a number was issued twice among 4,000 of nine million million")
			}
			seen[r] = true
		}
	}
}

// submissions returns one of each kind with every field filled in.
func submissions(t testing.TB) []domain.Submission {
	head := domain.Heading{
		ID: uuid(t, "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"),
		At: time.Date(2021, 1, 16, 10, 5, 0, 1000, domain.IndianStandardTime),
	}
	return []domain.Submission{
		domain.Registration{Heading: head, Person: reference, District: 208, Group: domain.HealthCareWorker, Name: "सुनीता देवी",
			BirthYear: 1961, Sex: domain.Female, Mobile: "9000000001", PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: "999900001111"}},
		domain.DoseGiven{Heading: head, Person: reference, District: 208, Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1},
		domain.RegistrationWithdrawal{Heading: head, Person: reference, Reason: domain.ReasonDuplicate},
		domain.DoseWithdrawal{Heading: head, Person: reference, Number: 2, Reason: domain.ReasonDuplicate},
		domain.ReversalRequest{Heading: head, Person: reference, To: domain.Partial, Reason: domain.ReasonIssuedByMistake},
		domain.ReversalDecision{Heading: head, Request: domain.UUID{1}, Approve: true, By: "officer-7"},
		domain.Freeze{Heading: head, District: 208, Groups: []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker},
			Persons: []domain.Reference{reference, "21679381234574"}, Standing: true, Mode: domain.Handover, Order: "DL/2021/117", By: "authority"},
	}
}
