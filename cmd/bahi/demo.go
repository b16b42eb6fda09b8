package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/intake"
	"bahi/ledger"
	"bahi/projections"
	"bahi/synth"
)

func (p *program) demoCommand() *cobra.Command {
	var keep string
	var seed uint64
	c := &cobra.Command{
		Use:   "demo",
		Short: "The story of Muzaffarpur, March 2021, in under a minute",
		Long: `Demo tells a story on a ledger of its own: 34,829 invented people of Muzaffarpur are
registered and vaccinated, the district is counted, one person is looked up, the
authority freezes the district, the same look-up is refused, and doses and a
reversal of frozen people still count. The views are rebuilt and everything is
verified. It needs nothing but this program, and ends with what it showed.`,
		Example: `  bahi demo
  bahi demo --keep ./muzaffarpur && bahi counts --data ./muzaffarpur --district 208`,
		RunE: func(c *cobra.Command, _ []string) error { return p.demo(c.Context(), keep, seed) },
	}
	c.Flags().StringVar(&keep, "keep", "", "keep the ledger in this directory, which must not exist (default: a temporary one)")
	c.Flags().Uint64Var(&seed, "seed", 1, "another seed makes other people")
	return c
}

// story is a demo under way.
type story struct {
	*program
	ctx    context.Context
	data   string
	ledger *ledger.Ledger
	synth.Story
	saved   string               // a copy of the data from before the freeze
	receipt ledger.FreezeReceipt // of the freeze
	shown   []string             // what was shown, each measured in this run
}

func (p *program) demo(ctx context.Context, keep string, seed uint64) (err error) {
	start := time.Now()
	data, cleanUp, err := demoDirectory(keep)
	if err != nil {
		return err
	}
	defer cleanUp()
	s := &story{program: p, ctx: ctx, data: data}
	defer func() { os.RemoveAll(s.saved) }()
	s.say("\nBahi: counts everyone and, when told to, remembers no one.\n\n")
	s.say("  ledger   %s (a sandbox: recorded time follows the story)\n", data)
	if err = s.open(data); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.ledger.Close(context.WithoutCancel(ctx))) }()
	s.Story = synth.Demo(seed)
	s.say("  people   %s, invented for this run\n", grouped(s.AtFreeze.Registered))

	for _, chapter := range []struct {
		title string
		tell  func() error
	}{
		{"16 January to 4 March 2021: the drive", s.drive},
		{"4 March, noon: one person is looked up", s.lookUp},
		{"4 March, 18:00: the authority freezes the district", s.freezeDistrict},
		{"After the freeze", s.afterwards},
		{"A citizen asks for a certificate", s.authorityAnswers},
		{"The ledger alone", s.rebuildAndVerify},
		{"What an auditor takes home", s.auditReceipt},
		{"The copy of the data from before the freeze", s.putBack},
	} {
		s.say("\n%s\n", chapter.title)
		if err := chapter.tell(); err != nil {
			return fmt.Errorf("the demo failed at %q: %w", chapter.title, err)
		}
	}

	s.say("\nShown in %.1f s:\n", time.Since(start).Seconds())
	for _, line := range s.shown {
		s.say("  ✓ %s\n", line)
	}
	if keep != "" {
		s.say("\nThe ledger is kept. Ask it yourself:\n  bahi counts --data %s --district %d --by group\n", keep, s.District)
	}
	return nil
}

func demoDirectory(keep string) (data string, cleanUp func(), err error) {
	if keep == "" {
		dir, err := os.MkdirTemp("", "bahi-demo-")
		return filepath.Join(dir, "ledger"), func() { os.RemoveAll(dir) }, err
	}
	if _, err := os.Stat(keep); err == nil {
		return "", nil, usage("%s exists; the demo keeps its ledger in a directory of its own", keep)
	}
	return keep, func() {}, nil
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.stdout, format, args...) }

// show notes something that was shown.
func (s *story) show(format string, args ...any) {
	s.shown = append(s.shown, fmt.Sprintf(format, args...))
}

// drive registers and vaccinates everybody up to the freeze.
func (s *story) drive() error {
	start := time.Now()
	accepted, err := s.submitAll("submitting", s.Before)
	if err != nil {
		return err
	}
	rate := float64(accepted) / time.Since(start).Seconds()
	s.say("  %s registrations, doses and withdrawals: all accepted, each flushed to disk, %s a second\n", grouped(accepted), grouped(int64(rate)))
	counts, err := s.expect(domain.DayOf(s.FreezeAt), s.AtFreeze, 0)
	if err != nil {
		return err
	}
	s.sayCounts(counts)
	s.show("%s submissions accepted, every one flushed to disk before its verdict (%s a second)", grouped(accepted), grouped(int64(rate)))
	s.show("%s people counted: %s first doses, %s second doses", grouped(counts.Registered), grouped(counts.Dose1), grouped(counts.Dose2))
	return nil
}

// submitAll submits in bundles, and insists that everything is accepted.
func (s *story) submitAll(what string, all []domain.Submission) (accepted int64, err error) {
	bar := s.meter(what)
	defer bar.done()
	for rest := all; len(rest) > 0; {
		n := min(len(rest), ledger.MaxBundle)
		verdicts, err := s.ledger.Submit(s.ctx, ledger.Caller{Name: "centre"}, rest[:n])
		if err != nil {
			return accepted, err
		}
		for _, v := range verdicts {
			if v.Outcome != domain.Accepted {
				return accepted, fmt.Errorf("a submission was not accepted: %s: %w", v.Outcome, v.Reject)
			}
		}
		accepted += int64(n)
		bar.to(accepted, int64(len(all)))
		rest = rest[n:]
	}
	return accepted, nil
}

// expect asks for the district's counts and compares them with the story's.
func (s *story) expect(asOf domain.Day, want synth.Tally, frozen int64) (projections.CountsResult, error) {
	r, err := s.ledger.Counts(s.ctx, projections.CountsQuery{District: s.District, AsOf: asOf, By: []projections.Dimension{projections.ByGroup}})
	if err != nil {
		return r, err
	}
	got := synth.Tally{
		Registered: r.Registered, Dose1: r.Dose1, Dose2: r.Dose2,
		Unvaccinated: r.Unvaccinated, Partial: r.Partial, Full: r.Full,
	}
	if got != want || r.Frozen != frozen {
		return r, fmt.Errorf("the counts are %+v with %d frozen, not %+v with %d", got, r.Frozen, want, frozen)
	}
	return r, nil
}

func (s *story) sayCounts(r projections.CountsResult) {
	for _, row := range r.By {
		s.say("    %-9s %7s registered, %7s first doses, %7s second doses\n", row.Group, grouped(row.Registered), grouped(row.Dose1), grouped(row.Dose2))
	}
	s.say("    %-9s %7s registered, %7s first doses, %7s second doses; %s unvaccinated, %s partial, %s full, %s frozen\n",
		"district", grouped(r.Registered), grouped(r.Dose1), grouped(r.Dose2), grouped(r.Unvaccinated), grouped(r.Partial), grouped(r.Full), grouped(r.Frozen))
}

func (s *story) lookUp() error {
	d, err := s.ledger.Person(s.ctx, s.LookUp, ledger.Reader{Officer: "dio-208-3", Purpose: "verification"})
	if err != nil {
		return err
	}
	s.say("  officer dio-208-3, purpose verification: recorded, then shown\n")
	s.say("    %s, born %d, %s, mobile %s, %s …%s, %s, %d dose\n", d.Name, d.BirthYear, d.Sex, d.Mobile, d.PhotoID.Type, d.PhotoID.Last4, d.Status, len(d.Doses))
	readings := 0
	for _, err := range s.ledger.AuditList(s.ctx) {
		if err != nil {
			return err
		}
		readings++
	}
	if readings != 1 {
		return fmt.Errorf("one reading was made and %d are recorded", readings)
	}
	s.show("one person looked up, the reading recorded before it was answered")
	return nil
}

func (s *story) freezeDistrict() error {
	if err := s.save(); err != nil {
		return err
	}
	start := time.Now()
	h, err := heading("", "")
	if err != nil {
		return err
	}
	h.At = s.FreezeAt
	r, err := s.ledger.Freeze(s.ctx, domain.Freeze{
		Heading: h, District: s.District, Groups: s.Groups, Mode: domain.Handover, Order: "DL/2021/117", By: "authority",
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	s.say("  order DL/2021/117: %s people of %d cohorts\n", grouped(r.People), r.KeysDestroyed)
	s.say("  %d keys sealed to the national authority, then overwritten\n", r.KeysDestroyed)
	for _, by := range r.Purged {
		switch {
		case by.Holder == intake.HolderIntake:
			s.say("  %s: %s bundles of centres waited\n", by.Holder, grouped(*by.Rows))
		case by.Holder == intake.HolderQuarantine:
			s.say("  %s: %s bundles removed\n", by.Holder, grouped(*by.Rows))
		case by.Rows != nil:
			s.say("  %s: %s records purged, %d files with a trace of them\n", by.Holder, grouped(*by.Rows), *by.Residue)
			if *by.Residue != 0 || *by.Rows != s.AtFreeze.Registered {
				return errors.New("the purge is not complete")
			}
		}
	}
	s.receipt = r
	if r.People != s.AtFreeze.Registered || r.KeysDestroyed != int64(len(s.Groups)) {
		return fmt.Errorf("the freeze covers %d people and destroyed %d keys", r.People, r.KeysDestroyed)
	}
	s.show("%s people frozen in %d ms: %d keys destroyed, their records purged from every file", grouped(r.People), took.Milliseconds(), r.KeysDestroyed)
	return s.refused("the same look-up", "the same look-up refused after the freeze, and an unknown number answered alike")
}

// refused insists that neither the person of the story nor an unknown number is
// answered.
func (s *story) refused(what, shown string) error {
	for _, number := range []domain.Reference{s.LookUp, domain.MakeReference("9000000000000")} {
		if _, err := s.ledger.Person(s.ctx, number, ledger.Reader{Officer: "dio-208-3", Purpose: "verification"}); !errors.Is(err, ledger.ErrFrozen) {
			return fmt.Errorf("a look-up after the freeze answers %v", err)
		}
	}
	s.say("  %s: refused, frozen\n", what)
	s.show("%s", shown)
	return nil
}

// afterwards reports second doses and a reversal of frozen people.
func (s *story) afterwards() error {
	accepted, err := s.submitAll("submitting", s.After)
	if err != nil {
		return err
	}
	if _, err := s.expect(domain.DayOf(s.Request.At), s.AtEnd, s.AtFreeze.Registered); err != nil {
		return err
	}
	s.say("  %s second doses of frozen people: accepted and counted\n", grouped(accepted))
	for _, step := range []struct {
		as ledger.Caller
		s  domain.Submission
	}{{ledger.Caller{Name: "centre"}, s.Request}, {ledger.Caller{Name: "authority", Authority: true}, s.Decision}} {
		verdicts, err := s.ledger.Submit(s.ctx, step.as, []domain.Submission{step.s})
		if err != nil {
			return err
		}
		if verdicts[0].Outcome != domain.Accepted {
			return fmt.Errorf("the reversal was not accepted: %w", verdicts[0].Reject)
		}
	}
	counts, err := s.expect(domain.DayOf(s.Decision.At), s.Reversed, s.AtFreeze.Registered)
	if err != nil {
		return err
	}
	s.say("  22 January 2022: a frozen person's certificate was a mistake; on the 26th the authority reverses full to partial\n")
	s.sayCounts(counts)
	s.show("%s second doses and one reversal of frozen people accepted; counts right to the last one", grouped(accepted))
	return nil
}

// rebuildAndVerify folds every view again and searches every file.
func (s *story) rebuildAndVerify() error {
	start := time.Now()
	if err := s.ledger.Rebuild(s.ctx, ledger.Views(), nil); err != nil {
		return err
	}
	s.say("  every view rebuilt from the ledger in %d ms, the orders read first\n", time.Since(start).Milliseconds())
	if err := s.refused("the look-up once more", "the people view rebuilt from the ledger: nobody came back"); err != nil {
		return err
	}
	report, err := s.ledger.VerifyProjections(s.ctx, ledger.Views(), nil)
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("verification: %v", report.Mismatches)
	}
	s.say("  %s commits read again, every count recomputed from the events: equal\n", grouped(int64(report.Commits)))
	s.show("every count and every view recomputed from %s commits: equal", grouped(int64(report.Commits)))
	searched, bytes, err := s.search()
	if err != nil {
		return err
	}
	s.say("  %s MB of files searched for the particulars of %d people: none found\n", grouped(bytes>>20), searched)
	s.show("no name, mobile, photo-ID or reference number of %d people in %s MB of files", searched, grouped(bytes>>20))
	return nil
}
