package ledger

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

const (
	muzaffarpur domain.District = 208
	patna       domain.District = 216
)

func TestSubmitAnswersInOrder(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	person := registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16T10:00:00+05:30")
	verdicts := submit(t, l, centre,
		person,
		doseOf(1, 1, muzaffarpur, "2021-01-16T11:00:00+05:30"),
		doseOf(1, 2, muzaffarpur, "2021-02-10T11:00:00+05:30"), // 25 days
		doseOf(2, 1, muzaffarpur, "2021-02-10T11:00:00+05:30"), // nobody
		person,
		doseOf(1, 2, patna, "2021-02-13T11:00:00+05:30"), // 28 days, elsewhere
	)
	want(t, verdicts[:2], domain.Accepted)
	wantCode(t, verdicts[2], domain.CodeIntervalTooShort)
	wantCode(t, verdicts[3], domain.CodeUnknownPerson)
	want(t, verdicts[4:5], domain.Duplicate)
	want(t, verdicts[5:], domain.Accepted)
	if verdicts[4].Commit != verdicts[0].Commit || verdicts[4].Person != person.Person {
		t.Errorf("the duplicate answers %+v, the original %+v", verdicts[4], verdicts[0])
	}

	counts := countsOf(t, l, muzaffarpur, "2021-02-28")
	if counts.Registered != 1 || counts.Full != 1 || counts.Dose1 != 1 || counts.Dose2 != 0 {
		t.Errorf("the home district counts %+v", counts.Figures)
	}
	if counts := countsOf(t, l, patna, "2021-02-28"); counts.Registered != 0 || counts.Dose2 != 1 {
		t.Errorf("the district of the second dose counts %+v", counts.Figures)
	}
}

func countsOf(t testing.TB, l *Ledger, district domain.District, asOf string) projections.CountsResult {
	t.Helper()
	day, err := domain.ParseDay(asOf)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Counts(t.Context(), projections.CountsQuery{District: district, AsOf: day})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIssuedNumberIsTheSameForARetry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	r := registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	r.Person = ""
	first := submit(t, l, centre, r)
	want(t, first, domain.Accepted)
	if err := first[0].Person.Check(); err != nil {
		t.Fatalf("the ledger issued %q: %v", first[0].Person, err)
	}
	shut(t, l)
	l = open(t, dir)
	again := submit(t, l, centre, r)
	want(t, again, domain.Duplicate)
	if again[0].Person != first[0].Person {
		t.Errorf("a retry gets number %q, not %q", again[0].Person, first[0].Person)
	}
	other := r
	other.Mobile = "9700000099"
	wantCode(t, submit(t, l, centre, other)[0], domain.CodeIDReused)
}

func TestSubmittedTwiceIsADuplicateForEver(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	registration := registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	dose := doseOf(1, 1, muzaffarpur, "2021-01-16")
	want(t, submit(t, l, centre, registration, dose), domain.Accepted)
	want(t, submit(t, l, centre, registration, dose), domain.Duplicate)

	registration.ID, dose.ID = uuidOf(7, 1), uuidOf(7, 2) // new ids, the same facts
	registration.At = at("2021-03-01")
	want(t, submit(t, l, centre, registration, dose), domain.Duplicate)

	dose.ID, dose.At = uuidOf(7, 3), at("2021-01-17")
	wantCode(t, submit(t, l, centre, dose)[0], domain.CodeDoseExists)
	registration.ID, registration.Name = uuidOf(7, 4), "Another Name"
	wantCode(t, submit(t, l, centre, registration)[0], domain.CodeAlreadyRegistered)
}

func TestUniquePhotoIDAndHousehold(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	var family []domain.Submission
	for n := 1; n <= 5; n++ {
		r := registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
		r.Mobile = "9700000001"
		family = append(family, r)
	}
	verdicts := submit(t, l, centre, family...)
	want(t, verdicts[:4], domain.Accepted)
	wantCode(t, verdicts[4], domain.CodeMobileFull)

	thief := registrationOf(6, patna, domain.FrontLineWorker, "2021-01-16")
	thief.PhotoID = family[0].(domain.Registration).PhotoID
	wantCode(t, submit(t, l, centre, thief)[0], domain.CodePhotoIDTaken)

	withdrawal := domain.RegistrationWithdrawal{
		Heading: domain.Heading{ID: uuidOf(8, 1), At: at("2021-01-17")}, Person: referenceOf(1), Reason: domain.ReasonDuplicate,
	}
	want(t, submit(t, l, centre, withdrawal, family[4], thief), domain.Accepted)
}

// A commit can be lost on its way, or stored and its acknowledgement lost; and
// somebody else can write in between. Nothing is lost and nothing is twice.
func TestLostAcknowledgements(t *testing.T) {
	t.Parallel()
	lost := errors.New("injected: nothing arrived")
	for name, fault := range map[string]func(l *Ledger, c eventstore.Commit, expected uint64) error{
		"lost": func(*Ledger, eventstore.Commit, uint64) error {
			return lost
		},
		"stored but reported lost": func(l *Ledger, c eventstore.Commit, expected uint64) error {
			if _, err := l.store.Append(context.Background(), c, expected); err != nil {
				return err
			}
			return lost
		},
		"lost, with a foreign writer in between": func(l *Ledger, c eventstore.Commit, expected uint64) error {
			return errors.Join(lost, foreign(l, expected))
		},
		"stored but reported lost, with a foreign writer after it": func(l *Ledger, c eventstore.Commit, expected uint64) error {
			if _, err := l.store.Append(context.Background(), c, expected); err != nil {
				return err
			}
			return errors.Join(lost, foreign(l, expected+1))
		},
		"a foreign writer first": func(l *Ledger, c eventstore.Commit, expected uint64) error {
			if err := foreign(l, expected); err != nil {
				return err
			}
			_, err := l.store.Append(context.Background(), c, expected)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, t.TempDir())
			want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
			var mu sync.Mutex
			appends := 0
			l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
				mu.Lock()
				defer mu.Unlock()
				if appends++; appends%3 == 1 {
					err := fault(l, c, expected)
					if errors.Is(err, lost) {
						err = errors.Join(eventstore.ErrUnknownOutcome, err)
					}
					return 0, err
				}
				return l.store.Append(ctx, c, expected)
			}
			var all []domain.Submission
			for n := 2; n <= 30; n++ {
				all = append(all,
					registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
					doseOf(n, 1, muzaffarpur, "2021-01-16"))
			}
			for _, s := range all {
				want(t, submit(t, l, centre, s), domain.Accepted)
			}
			want(t, submit(t, l, centre, all...), domain.Duplicate)
			if counts := countsOf(t, l, muzaffarpur, "2021-01-31"); counts.Registered != 30 || counts.Dose1 != 29 {
				t.Errorf("counts %+v", counts.Figures)
			}
			check(t, l)
		})
	}
}

// foreign appends a commit as another process would.
func foreign(l *Ledger, expected uint64) error {
	_, err := l.store.Append(context.Background(), eventstore.Commit{
		ID: [16]byte{0xf0, byte(expected), byte(expected >> 8)},
		Entries: []eventstore.Entry{{
			Recorded: time.Date(2021, 1, 16, 12, 0, 0, 0, time.UTC),
			Event:    domain.HolderEnrolled{Holder: "people@foreign"},
		}},
	}, expected)
	return err
}

// check is the checker of all invariants: counts recomputed from the ledger and
// every view folded again agree with what is served.
func check(t testing.TB, l *Ledger) {
	t.Helper()
	report, err := l.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range report.Mismatches {
		t.Errorf("ledger verify: %v", m)
	}
	report, err = l.VerifyProjections(t.Context(), Views(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range report.Mismatches {
		t.Errorf("projections verify: %v", m)
	}
}

// A register that cannot take one event leaves that submission out, and decides
// the others.
func TestOneFaultLeavesTheOthers(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	batch := newBatch(3)
	asks := make([]*ask, 3)
	for i := range asks {
		asks[i] = l.prepare(centre, registrationOf(10+i, muzaffarpur, domain.HealthCareWorker, "2021-01-16"))
	}
	asks[1] = &ask{district: muzaffarpur, event: domain.PersonRegistered{
		Person: domain.PersonToken{1}, Sealed: []byte("what no key opens"),
		Cohort: domain.Cohort{District: muzaffarpur, Group: domain.HealthCareWorker, Generation: 1},
	}}
	for i := range asks {
		asks[i].batch, asks[i].place = batch, i
	}
	if err := l.enqueue(t.Context(), asks); err != nil {
		t.Fatal(err)
	}
	told, err := l.await(t.Context(), batch)
	if told != nil {
		t.Errorf("verdicts are told beside an error: %+v", told)
	}
	verdicts := batch.verdicts
	if err == nil || verdicts[0].Outcome != domain.Accepted || verdicts[1].Outcome != 0 || verdicts[2].Outcome != domain.Accepted {
		t.Errorf("verdicts %+v, %v", verdicts, err)
	}
	check(t, l)
}

// TestRefusedDoesNotFound: what is refused leaves an empty ledger empty, and what
// rests on an accepted one does not.
func TestRefusedDoesNotFound(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	order := domain.Freeze{
		Heading: domain.Heading{ID: domain.UUID{15: 9}, At: at("2021-03-04")}, District: muzaffarpur, Mode: domain.Handover, Order: "X;Y", By: "authority",
	}
	if _, err := l.Freeze(t.Context(), order); err == nil {
		t.Error("an order with a semicolon is carried out")
	}
	want(t, submit(t, l, centre, order), domain.Rejected)
	order.Order = "A/1"
	want(t, submit(t, l, centre, order, doseOf(1, 1, muzaffarpur, "2021-01-16")), domain.Rejected)
	if info, err := l.Info(t.Context()); err != nil || info.Head != 0 || info.Origin != "" {
		t.Errorf("the ledger is founded: %+v, %v", info, err)
	}
	order.Order = "A/2"
	if _, err := l.Freeze(t.Context(), order); err != nil {
		t.Errorf("a sandbox's first freeze: %v", err)
	}
	if info, err := l.Info(t.Context()); err != nil || info.Head == 0 {
		t.Errorf("the ledger is not founded: %+v, %v", info, err)
	}
}
