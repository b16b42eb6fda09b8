package domain_test

import (
	"reflect"
	"testing"

	"bahi/domain"
)

// TestNotices compares whole notices: whatever else an event holds is not told.
func TestNotices(t *testing.T) {
	t.Parallel()
	const freeze, void, requested, decided, changed = domain.NoticeFreezeAnnounced, domain.NoticeCertificateVoid,
		domain.NoticeReversalRequested, domain.NoticeReversalDecided, domain.NoticeCountsChanged
	on, given := day("2022-01-22"), day("2021-07-01")
	first := domain.Dose{Number: 1, Vaccine: domain.Covaxin, Day: day("2021-06-01"), District: 208}
	second := domain.Dose{Number: 2, Vaccine: domain.Covaxin, Day: given, District: 212}
	two := []domain.CohortSize{{Cohort: hcw, People: 3}, {Cohort: domain.Cohort{District: 208, Group: domain.FrontLineWorker, Generation: 1}, People: 4}}
	for _, c := range []struct {
		event domain.Event
		want  []domain.Notice
	}{
		{domain.PersonRegistered{Person: asha, Cohort: hcw, Sex: domain.Female, Day: on}, []domain.Notice{{Kind: changed, District: 208, Day: on}}},
		{domain.RegistrationWithdrawn{Person: asha, Cohort: hcw, Registered: given, Day: on, Pending: true}, []domain.Notice{{Kind: changed, District: 208, Day: given}}},
		{domain.DoseAdministered{Person: asha, Cohort: hcw, Dose: second, Before: domain.Partial, After: domain.Full},
			[]domain.Notice{{Kind: changed, District: 212, Day: given}, {Kind: changed, District: 208, Day: given}}},
		{domain.DoseWithdrawn{Person: asha, Cohort: hcw, Dose: second, Day: on, Before: domain.Full, After: domain.Partial},
			[]domain.Notice{{Kind: void, District: 212, Day: on, Dose: 2, Vaccine: domain.Covaxin}, {Kind: changed, District: 212, Day: given}, {Kind: changed, District: 208, Day: given}}},
		{domain.ReversalRequested{Request: numberedID(5), Person: asha, Cohort: hcw, Day: on, From: domain.Full, To: domain.Partial},
			[]domain.Notice{{Kind: requested, District: 208, Day: on, Request: numberedID(5), From: domain.Full, To: domain.Partial, DueFrom: on + 4}, {Kind: changed, District: 208, Day: on}}},
		{domain.ReversalDecided{Request: numberedID(5), Person: asha, Cohort: hcw, Day: on, Before: domain.Full, After: domain.Full, By: "officer-7"},
			[]domain.Notice{{Kind: decided, District: 208, Day: on, Request: numberedID(5), From: domain.Full, To: domain.Full}, {Kind: changed, District: 208, Day: on}}},
		{domain.ReversalDecided{Request: numberedID(5), Person: asha, Cohort: hcw, Day: on, Approved: true, Before: domain.Full, After: domain.Unvaccinated, TakenBack: []domain.Dose{first, second}, By: "officer-7"},
			[]domain.Notice{
				{Kind: decided, District: 208, Day: on, Request: numberedID(5), From: domain.Full, To: domain.Unvaccinated, Approved: true},
				{Kind: void, District: 208, Day: on, Dose: 1, Vaccine: domain.Covaxin, Request: numberedID(5)},
				{Kind: void, District: 212, Day: on, Dose: 2, Vaccine: domain.Covaxin, Request: numberedID(5)},
				{Kind: changed, District: 208, Day: on}, {Kind: changed, District: 212, Day: on}}},
		{domain.FreezeOrdered{Freeze: numberedID(9), District: 208, Groups: domain.Groups()[:2], Cohorts: two, Standing: true, Mode: domain.Erase, Order: "DL/1", By: "authority", Day: on},
			[]domain.Notice{{Kind: freeze, District: 208, Day: on, Freeze: numberedID(9), Groups: domain.Groups()[:2], Standing: true, Mode: domain.Erase, Order: "DL/1", People: 7}, {Kind: changed, District: 208, Day: on}}},
		{domain.FreezeOrdered{Freeze: numberedID(9), District: 208, Groups: domain.Groups()[:1], Cohorts: two[:1], Mode: domain.Handover, Order: "DL/1", By: "authority", Day: on, Listed: 5,
			Moved: []domain.PersonMoved{{Person: asha, From: hcw, To: hcw, Day: on}}},
			[]domain.Notice{{Kind: freeze, District: 208, Day: on, Freeze: numberedID(9), Mode: domain.Handover, Order: "DL/1", People: 3}, {Kind: changed, District: 208, Day: on}}},
		{domain.HolderEnrolled{Holder: "vault@1"}, nil},
	} {
		var got []domain.Notice
		domain.Notices(c.event, on+1, func(n domain.Notice) { got = append(got, n) })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%T:\n got %+v\nwant %+v", c.event, got, c.want)
		}
	}
}
