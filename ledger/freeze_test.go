package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"bahi/domain"
)

// After a freeze nobody's details come back: not by asking, not after a restart,
// not after a rebuild. Doses, withdrawals and reversals of frozen people count.
func TestFreeze(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	var all []domain.Submission
	for n := 1; n <= 40; n++ {
		all = append(all, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16T08:00:00+05:30"),
			doseOf(n, 1, muzaffarpur, "2021-01-16T09:00:00+05:30"))
	}
	all = append(all, registrationOf(99, patna, domain.HealthCareWorker, "2021-01-16T09:00:00+05:30"))
	want(t, submit(t, l, centre, all...), domain.Accepted)

	details, err := l.Person(t.Context(), referenceOf(1), Reader{Officer: "dio-208", Purpose: "verification"})
	if err != nil {
		t.Fatal(err)
	}
	if details.Name != "Canary Kumari 1" || details.Status != domain.Partial || len(details.Doses) != 1 || details.Doses[0].Centre != "208001" || details.PhotoID.Last4 != "0001" {
		t.Errorf("details are %+v", details)
	}
	if _, err := l.Person(t.Context(), referenceOf(1234), Reader{Officer: "dio-208", Purpose: "verification"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("before any freeze, an unknown number: %v", err)
	}

	wantCode(t, submit(t, l, centre, freezeOf(1, muzaffarpur, "2021-03-04T18:00:00+05:30"))[0], domain.CodeNotAllowed)
	receipt, err := l.Freeze(t.Context(), freezeOf(1, muzaffarpur, "2021-03-04T18:00:00+05:30"))
	if err != nil {
		t.Fatal(err)
	}
	if receipt.People != 40 || receipt.KeysDestroyed != 1 || len(receipt.Purged) != 3 || receipt.Handover == "" {
		t.Errorf("the receipt says %+v", receipt)
	}
	for _, by := range receipt.Purged {
		if by.Rows != nil && (*by.Rows != 40 || *by.Residue != 0) {
			t.Errorf("%s purged %d rows, residue %d", by.Holder, *by.Rows, *by.Residue)
		}
	}

	frozen := func(l *Ledger, when string) {
		t.Helper()
		for _, n := range []int{1, 40, 1234} {
			if _, err := l.Person(t.Context(), referenceOf(n), Reader{Officer: "dio-208", Purpose: "verification"}); !errors.Is(err, ErrFrozen) {
				t.Errorf("%s, person %d: %v, want frozen", when, n, err)
			}
		}
		if other, err := l.Person(t.Context(), referenceOf(99), Reader{Officer: "dio-230", Purpose: "medical"}); err != nil || other.Name != "Canary Kumari 99" {
			t.Errorf("%s, the neighbour's person: %+v, %v", when, other, err)
		}
	}
	frozen(l, "after the freeze")

	again := submit(t, l, centre, all[0], all[1])
	want(t, again, domain.Duplicate)
	if again[0].Commit != 0 {
		t.Error("a verdict about a frozen person tells the commit")
	}
	early := submit(t, l, centre, doseOf(3, 2, muzaffarpur, "2021-02-01"))[0]
	if wantCode(t, early, domain.CodeIntervalTooShort); early.Reject.Message != "" || early.Reject.Field != "" {
		t.Errorf("a verdict about a frozen person tells %q", early.Reject.Message)
	}
	want(t, submit(t, l, centre, doseOf(1, 2, muzaffarpur, "2021-03-05T09:00:00+05:30")), domain.Accepted)

	request := domain.ReversalRequest{
		Heading: domain.Heading{ID: uuidOf(20, 1), At: at("2021-03-06T09:00:00+05:30")},
		Person:  referenceOf(1), To: domain.Partial, Reason: domain.ReasonIssuedByMistake,
	}
	decision := func(id int, day string) domain.ReversalDecision {
		return domain.ReversalDecision{Heading: domain.Heading{ID: uuidOf(21, id), At: at(day)}, Request: request.ID, Approve: true, By: "officer-7"}
	}
	want(t, submit(t, l, centre, request), domain.Accepted)
	wantCode(t, submit(t, l, authority, decision(1, "2021-03-08T09:00:00+05:30"))[0], domain.CodeTooEarly)
	want(t, submit(t, l, authority, decision(2, "2021-03-09T09:00:00+05:30")), domain.Accepted)

	thief := registrationOf(500, patna, domain.HealthCareWorker, "2021-03-10")
	thief.PhotoID = all[0].(domain.Registration).PhotoID
	wantCode(t, submit(t, l, centre, thief)[0], domain.CodePhotoIDTaken)

	later := registrationOf(600, muzaffarpur, domain.HealthCareWorker, "2021-03-11")
	want(t, submit(t, l, centre, later), domain.Accepted)
	if opened, err := l.Person(t.Context(), referenceOf(600), Reader{Officer: "dio-208", Purpose: "verification"}); err != nil || opened.Name != later.Name {
		t.Errorf("the next generation: %+v, %v", opened, err)
	}

	counts := countsOf(t, l, muzaffarpur, "2021-03-31")
	if counts.Registered != 41 || counts.Dose1 != 40 || counts.Dose2 != 0 || counts.Full != 0 || counts.Partial != 40 || counts.Frozen != 40 || counts.PendingReversals != 0 {
		t.Errorf("counts after the freeze: %+v", counts.Figures)
	}
	check(t, l)

	shut(t, l)
	l = open(t, dir)
	frozen(l, "after a restart")
	if err := l.Rebuild(t.Context(), Views(), nil); err != nil {
		t.Fatal(err)
	}
	frozen(l, "after a rebuild")
	check(t, l)
	shut(t, l)

	for _, view := range Views() {
		if err := DiscardView(Config{Data: dir + "/data"}, view); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, dir)
	frozen(l, "folded anew from the ledger alone")
	check(t, l)
}

// Under a standing freeze later registrations are born closed: counted, never
// readable, and still registered once.
func TestStandingFreeze(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	order := freezeOf(1, muzaffarpur, "2021-03-04")
	order.Standing, order.Groups = true, []domain.Group{domain.HealthCareWorker}
	if _, err := l.Freeze(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	born := registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-03-05")
	want(t, submit(t, l, centre, born, doseOf(2, 1, muzaffarpur, "2021-03-05")), domain.Accepted)
	free := registrationOf(3, muzaffarpur, domain.FrontLineWorker, "2021-03-05")
	want(t, submit(t, l, centre, free), domain.Accepted)
	thief := registrationOf(4, patna, domain.FrontLineWorker, "2021-03-05")
	thief.PhotoID = born.PhotoID
	twin := registrationOf(5, muzaffarpur, domain.HealthCareWorker, "2021-03-05")
	two := registrationOf(6, muzaffarpur, domain.HealthCareWorker, "2021-03-05")
	two.PhotoID = twin.PhotoID

	expect := func(l *Ledger, when string) {
		t.Helper()
		if _, err := l.Person(t.Context(), referenceOf(2), Reader{Officer: "dio", Purpose: "medical"}); !errors.Is(err, ErrFrozen) {
			t.Errorf("%s: who was born closed: %v", when, err)
		}
		if p, err := l.Person(t.Context(), referenceOf(3), Reader{Officer: "dio", Purpose: "medical"}); err != nil || p.Name != free.Name {
			t.Errorf("%s: a group that is not frozen: %v", when, err)
		}
		wantCode(t, submit(t, l, centre, thief)[0], domain.CodePhotoIDTaken)
		check(t, l)
	}
	expect(l, "at once")
	verdicts := submit(t, l, centre, twin, two) // in one commit
	want(t, verdicts[:1], domain.Accepted)
	wantCode(t, verdicts[1], domain.CodePhotoIDTaken)
	if counts := countsOf(t, l, muzaffarpur, "2021-03-31"); counts.Registered != 4 || counts.Frozen != 3 || counts.Dose1 != 1 {
		t.Errorf("counts %+v", counts.Figures)
	}
	shut(t, l)
	if err := DiscardView(Config{Data: dir + "/data"}, "register"); err != nil {
		t.Fatal(err)
	}
	expect(open(t, dir), "folded anew")
}

// Nothing that was told about a person stands in the clear in any file: not in
// the streams, the views, the keys, the handover.
func TestNoPersonalDataOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	var all []domain.Submission
	var canaries []string
	for n := 1; n <= 300; n++ {
		r := registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
		all = append(all, r, doseOf(n, 1, muzaffarpur, "2021-01-16"))
		canaries = append(canaries, r.Name, r.Mobile, r.PhotoID.Number, string(r.Person))
	}
	issued := registrationOf(301, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	issued.Person = ""
	verdicts := submit(t, l, centre, append(all, issued)...)
	want(t, verdicts, domain.Accepted)
	canaries = append(canaries, string(verdicts[600].Person), issued.ID.String())
	if _, err := l.Person(t.Context(), referenceOf(1), Reader{Officer: "dio-208", Purpose: "verification"}); err != nil {
		t.Fatal(err)
	}
	find := func(when string) {
		t.Helper()
		for _, hit := range residue(t, dir, canaries) {
			t.Errorf("%s: %s", when, hit)
		}
	}
	find("open")
	if _, err := l.Freeze(t.Context(), freezeOf(1, muzaffarpur, "2021-03-04")); err != nil {
		t.Fatal(err)
	}
	find("frozen")
	shut(t, l)
	find("closed")
	if files := residue(t, dir, []string{"DL/2021/117"}); len(files) == 0 {
		t.Error("the search finds nothing at all: not even the order's number")
	}
}

// residue names the files below dir that hold one of the strings.
func residue(t testing.TB, dir string, canaries []string) (hits []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a table that a compaction removed meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for i, c := range canaries {
			if bytes.Contains(content, []byte(c)) {
				hits = append(hits, filepath.Base(path)+" holds canary "+string(rune('0'+i%4)))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits
}
