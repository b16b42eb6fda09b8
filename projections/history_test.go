package projections

import (
	"reflect"
	"testing"

	"bahi/domain"
)

var everyRecord = []domain.Event{
	domain.PersonRegistered{Cohort: domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 300}, Sex: domain.Female, Day: -3, Closed: true, Sealed: []byte("sealed")},
	domain.DoseAdministered{Dose: domain.Dose{Number: 1, Vaccine: domain.Covaxin, Day: 18643, District: 65535}, Before: domain.Unvaccinated, After: domain.Partial, Sealed: []byte("s")},
	domain.DoseWithdrawn{Dose: domain.Dose{Number: domain.Precaution, Vaccine: domain.ZyCoVDTwoDose, Day: 1}, Day: 18700, Before: domain.Full, After: domain.Partial, Reason: domain.ReasonOther},
	domain.ReversalRequested{Request: domain.UUID{1, 2, 3}, Day: 18701, From: domain.Full, To: domain.Unvaccinated, Reason: domain.ReasonIssuedByMistake},
	domain.ReversalDecided{Request: domain.UUID{1, 2, 3}, Day: 18704, Approved: true, Before: domain.Full, After: domain.Unvaccinated, TakenBack: []domain.Dose{{Number: 1, Vaccine: 1, Day: 2, District: 3}, {Number: 2, Vaccine: 1, Day: 4, District: 5}}, By: "officer-7"},
}

// Every record is read back as it was written, alone and one behind another.
func TestRecordsReadBack(t *testing.T) {
	t.Parallel()
	var history []byte
	for i, e := range everyRecord {
		history = appendRecord(history, e, uint64(i)<<40, domain.Day(-i), true)
	}
	r := recordReader{b: history}
	for i, want := range everyRecord {
		if !r.next() || r.commit != uint64(i)<<40 || r.recorded != domain.Day(-i) {
			t.Fatalf("record %d: %+v", i, r)
		}
		var got domain.Event
		switch r.kind {
		case recordRegistered:
			got = r.registered()
		case recordDose:
			got = r.dose()
		case recordDoseWithdrawn:
			got = r.doseWithdrawn()
		case recordRequested:
			got = r.requested()
		case recordDecided:
			got = r.decided()
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	if r.next() || r.bad {
		t.Fatal("more than was written")
	}
	for n := range history { // a row cut short is an error or a shorter history, never a panic
		_, _ = evolve(domain.Person{}, history[:n])
		_, _ = personRecord(history[:n])
	}
}

func FuzzHistory(f *testing.F) {
	for _, e := range everyRecord {
		f.Add(appendRecord(nil, e, 7, 18643, true))
	}
	f.Add([]byte{recordDecided, 1, 2})
	f.Fuzz(func(t *testing.T, history []byte) {
		_, err := evolve(domain.Person{}, history)
		if _, err2 := personRecord(history); (err == nil) != (err2 == nil) {
			t.Fatalf("one reads it, the other does not: %v, %v", err, err2)
		}
	})
}
