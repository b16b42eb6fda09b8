package eventstore

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"bahi/domain"
)

var day = domain.Date(2021, time.March, 4)

// oneOfEach holds one entry of every kind of event, with every field set, and
// is what the golden file holds.
func oneOfEach() Commit {
	cohort := domain.Cohort{District: 208, Group: domain.FrontLineWorker, Generation: 2}
	person := domain.PersonToken{1, 2, 3, 15: 16}
	freeze := domain.UUID{0xf, 15: 0xe}
	request := domain.UUID{0xa, 15: 0xb}
	dose := domain.Dose{Number: 2, Vaccine: domain.ZyCoVD, Day: day, District: 216}
	events := []domain.Event{
		domain.PersonRegistered{Person: person, Cohort: cohort, Sex: domain.Transgender, Day: day, Closed: true, Sealed: []byte("sealed details")},
		domain.DoseAdministered{Person: person, Cohort: cohort, Sex: domain.Female, Dose: dose, Before: domain.Partial, After: domain.Full, Sealed: []byte("sealed particulars")},
		domain.RegistrationWithdrawn{Person: person, Cohort: cohort, Sex: domain.Male, Registered: day - 3, Day: day, Pending: true, Reason: domain.ReasonDuplicate},
		domain.DoseWithdrawn{Person: person, Cohort: cohort, Sex: domain.Male, Dose: dose, Day: day + 9, Before: domain.Full, After: domain.Partial, Reason: domain.ReasonEnteredInError},
		domain.ReversalRequested{Request: request, Person: person, Cohort: cohort, Sex: domain.Female, Day: day, From: domain.Full, To: domain.Unvaccinated, Reason: domain.ReasonIssuedByMistake},
		domain.ReversalDecided{Request: request, Person: person, Cohort: cohort, Sex: domain.Female, Day: day + 4, Approved: true, Before: domain.Full, After: domain.Unvaccinated,
			TakenBack: []domain.Dose{{Number: 1, Vaccine: domain.Covaxin, Day: day - 40, District: 208}, dose}, By: "officer-7"},
		domain.LedgerFounded{Origin: "bihar.bahi.example", Sandbox: true, Pepper: [16]byte{7, 15: 8}},
		domain.FreezeOrdered{Freeze: freeze, District: 208, Groups: []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker},
			Cohorts:  []domain.CohortSize{{Cohort: cohort, People: 11000}, {Cohort: domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}, People: 21329}},
			Standing: true, Mode: domain.Erase, Order: "DL/2021/117", By: "authority", Day: day, Listed: 3,
			Moved: []domain.PersonMoved{{Person: person, From: cohort, To: domain.Cohort{District: 208, Group: domain.FrontLineWorker, Generation: 5},
				Sex: domain.Female, Status: domain.Partial, Day: day + 1, Pending: true}},
			Rekeyed: []domain.CohortEpoch{{Cohort: cohort, Epoch: 4}}},
		domain.PhotoIDsKept{Freeze: freeze, Cohort: cohort, Tokens: []domain.PhotoIDToken{{1}, {2}, {3, 15: 9}}},
		domain.PhotoIDsComplete{Freeze: freeze, Tokens: 34829},
		domain.KeysRewrapped{Freeze: freeze, Cohort: cohort, Epoch: 4, Keys: []domain.WrappedKey{{Person: person, Sealed: []byte("a wrapped key")}, {Person: domain.PersonToken{9}, Sealed: []byte("another")}}},
		domain.SurvivorsRekeyed{Freeze: freeze, People: 34827},
		domain.HandoverMade{Freeze: freeze, SHA256: [32]byte{1, 31: 2}, Key: [32]byte{3, 31: 4}},
		domain.Purged{Freeze: freeze, Holder: "people@node-1", Rows: 34829, Residue: 1, Keys: 3},
		domain.HolderEnrolled{Holder: "vault@node-1"},
		domain.AuthorityKeyAdopted{Key: [32]byte{5, 31: 6}, Public: []byte("a public key")},
	}
	c := Commit{ID: [16]byte{0xc, 15: 0xd}, District: 208}
	recorded := time.Date(2021, time.March, 4, 12, 30, 0, 123e6, time.UTC)
	for i, e := range events {
		c.Entries = append(c.Entries, Entry{
			Submission: domain.SubmissionToken{byte(i + 1)},
			Digest:     domain.Digest{byte(i + 1), 15: 1},
			Issued:     uint8(i),
			Recorded:   recorded.Add(time.Duration(i*i) * time.Millisecond),
			Event:      e,
		})
	}
	return c
}

// bundle returns a commit as a centre's bundle makes it: registrations with
// 150 sealed bytes and doses with 60, half and half, in random order of person.
func bundle(seed uint64, entries int) Commit {
	random := rand.New(rand.NewPCG(seed, 1))
	token := func() (t [domain.TokenSize]byte) {
		binary.LittleEndian.PutUint64(t[:], random.Uint64())
		binary.LittleEndian.PutUint64(t[8:], random.Uint64())
		return t
	}
	c := Commit{ID: token(), District: 208}
	recorded := time.Date(2021, time.March, 4, 12, 30, 0, 0, time.UTC)
	cohort := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	for i := range entries {
		e := Entry{Submission: token(), Digest: token(), Recorded: recorded}
		if i%2 == 0 {
			e.Issued = 1
			e.Event = domain.PersonRegistered{Person: token(), Cohort: cohort, Sex: domain.Female, Day: day, Sealed: make([]byte, 150)}
		} else {
			e.Event = domain.DoseAdministered{Person: token(), Cohort: cohort, Sex: domain.Male,
				Dose:   domain.Dose{Number: 1, Vaccine: domain.Covishield, Day: day, District: 208},
				Before: domain.Unvaccinated, After: domain.Partial, Sealed: make([]byte, 60)}
		}
		c.Entries = append(c.Entries, e)
		recorded = recorded.Add(time.Millisecond)
	}
	return c
}
