package ledger

import (
	"context"
	"math"

	"bahi/domain"
	"bahi/projections"
)

// nextsForARead is how many times as many people's next doses an officer may ask
// for in a day as open people's details: whoever gives doses asks about everybody
// in the queue.
const nextsForARead = 10

// purposeNext stands in the audit for who asked about a next dose.
const purposeNext = "second_dose"

// NextDose is what a centre needs to know of somebody to give the next dose, and
// nothing more: neither who it is, nor where the last dose was given.
type NextDose struct {
	Status domain.Status `json:"status"`
	Last   *LastDose     `json:"last,omitempty"` // the last standing dose
	Next   *DueDose      `json:"next,omitempty"` // left out when no dose is next
}

// LastDose is a dose that was given.
type LastDose struct {
	Dose    any            `json:"dose"` // 1, 2, 3 or "precaution"
	Vaccine domain.Vaccine `json:"vaccine"`
	At      domain.Day     `json:"at"`
}

// DueDose is the dose to be given next.
type DueDose struct {
	Dose     any          `json:"dose"` // 1, 2, 3 or "precaution"
	From     domain.Day   `json:"from"` // the first day for any of the vaccines, on or after the day asked about
	Vaccines []DueVaccine `json:"vaccines"`
}

// DueVaccine is a vaccine with which the next dose may be given.
type DueVaccine struct {
	Vaccine domain.Vaccine `json:"vaccine"`
	From    domain.Day     `json:"from"`
}

// NextDose tells which dose somebody is to be given next, as the rules have it on
// a day; the zero day is today. Like [Ledger.Person] it is recorded before it is
// answered, whatever the reader's purpose as second_dose, and refused with the
// same errors. The reader's readings of the day count for both; here there may be
// ten times as many.
//
// Doses are given to people from elsewhere: a reader for a centre is of no
// district.
func (l *Ledger) NextDose(ctx context.Context, number domain.Reference, reader Reader, on domain.Day) (NextDose, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return NextDose{}, err
	}
	defer leave()
	reader.Purpose = purposeNext
	_, record, err := l.look(ctx, number, reader, l.nextsPerDay())
	if err != nil {
		return NextDose{}, err
	}
	if on == 0 {
		on = domain.DayOf(l.now())
	}
	return nextDoseOf(record, l.rules, on), nil
}

func (l *Ledger) nextsPerDay() int {
	return nextsForARead * min(l.readsPerDay(), math.MaxInt/nextsForARead)
}

func nextDoseOf(record projections.PersonRecord, rules domain.Rules, on domain.Day) NextDose {
	p := domain.Person{Cohort: record.Cohort, Sex: record.Sex, Registered: record.Registered, Commit: record.Commit, Status: record.Status}
	var doses []domain.Dose
	for _, d := range record.Doses {
		doses = append(doses, d.Dose)
	}
	p = p.WithDoses(doses...)
	told := NextDose{Status: p.Status}
	if last, ok := p.Latest(); ok {
		told.Last = &LastDose{Dose: doseShown(last.Number), Vaccine: last.Vaccine, At: last.Day}
	}
	if next := domain.NextDose(p, rules, on); next.Number != 0 {
		told.Next = &DueDose{Dose: doseShown(next.Number), From: next.Vaccines[0].From}
		for _, v := range next.Vaccines {
			told.Next.Vaccines = append(told.Next.Vaccines, DueVaccine(v))
		}
	}
	return told
}
