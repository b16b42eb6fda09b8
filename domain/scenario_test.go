package domain_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

var rewrite = flag.Bool("rewrite", false, "write what happens into testdata/*.txt instead of comparing with it")

// TestScenarios plays testdata/*.txt: the rules as a district's staff would tell
// them. "given" must be accepted; what follows "then" is what happened after
// "when", or the answer to "ask". A title opens a scenario and an empty ledger.
// With -rewrite the answers are written anew, to be read in the diff.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, file, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compareLines(t, file, string(want), got)
		})
	}
}

func compareLines(t *testing.T, file, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			t.Fatalf("%s:%d\n got: %s\nwant: %s\nIf this is right: go test ./domain -run Scenarios -rewrite", file, i+1, g[i], w[i])
		}
	}
	if len(w) != len(g) {
		t.Fatalf("%s: %d lines, want %d", file, len(g), len(w))
	}
}

// play returns the text of the file with the answers that it gets.
func play(t *testing.T, file, text string) string {
	t.Helper()
	var out strings.Builder
	var s *scenario
	for number, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		keyword, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		fail := func(err error) { t.Fatalf("%s:%d: %s: %v", file, number+1, line, err) }
		switch keyword {
		case "then", "":
			if line != "" {
				continue // an earlier answer
			}
		case "##":
			s = newScenario()
		case "given":
			if _, err := s.happens(rest); err != nil {
				fail(err)
			}
		}
		fmt.Fprintln(&out, line)
		switch keyword {
		case "when":
			verdict, err := s.happens(rest)
			if verdict == "" {
				fail(err)
			}
			fmt.Fprintf(&out, "then  %s\n", verdict)
		case "ask":
			answer, err := s.asked(rest)
			if err != nil {
				fail(err)
			}
			fmt.Fprintf(&out, "then  %s\n", answer)
		}
	}
	return out.String()
}

// scenario is a ledger and the people of one story. Who is named first gets the
// first reference number, mobile number and Aadhaar number.
type scenario struct {
	*register
	names    []string
	homes    map[string]domain.District
	requests map[string]domain.UUID
	ids      int
	last     domain.Submission
	official bool
}

func newScenario() *scenario {
	return &scenario{register: newRegister(), homes: map[string]domain.District{}, requests: map[string]domain.UUID{}}
}

// happens plays "DAY sentence" or "DAY sentence (recorded DAY)". The verdict is
// empty when the sentence means nothing; the error is the ledger's refusal.
func (s *scenario) happens(line string) (verdict string, err error) {
	if line == "there is no authority key" {
		s.authorityKey = false
		return "so be it", nil
	}
	date, sentence, _ := strings.Cut(line, " ")
	happened, err := domain.ParseTime(date)
	if err != nil {
		return "", err
	}
	recorded := happened
	if before, after, ok := strings.Cut(sentence, " (recorded "); ok {
		sentence = before
		if recorded, err = domain.ParseTime(strings.TrimSuffix(after, ")")); err != nil {
			return "", err
		}
	}
	submission, err := s.read(strings.TrimSpace(sentence), happened)
	if err != nil {
		return "", err
	}
	submission = domain.Normalise(submission)
	s.last = submission
	err = domain.Check(submission)
	if err == nil {
		_, err = s.submit(submission, recorded, !s.official)
	}
	var rejection *domain.Rejection
	var held *domain.AlreadyHeld
	switch {
	case errors.As(err, &rejection):
		verdict = "rejected, " + string(rejection.Code)
		if rejection.Message != "" {
			verdict += "\n      " + rejection.Message
		}
	case errors.As(err, &held):
		verdict = "duplicate"
	case err == nil:
		verdict = "accepted"
	}
	return verdict, err
}

const ordinals = `first|second|third|precaution`

// sentences are what can be said, and how each is read.
var sentences = []struct {
	pattern *regexp.Regexp
	read    func(s *scenario, h domain.Heading, m []string) domain.Submission
}{
	{regexp.MustCompile(`^(\w+) registers as (\w+) in (\d+), born (\d+)(?:, mobile (\d+))?(?:, with (\w+)(?: number (.+))?)?$`), (*scenario).registers},
	{regexp.MustCompile(`^(\w+) gets the (` + ordinals + `) dose of (\w+)(?: in (\d+))?$`), (*scenario).getsDose},
	{regexp.MustCompile(`^(\w+)'s registration is withdrawn$`), func(s *scenario, h domain.Heading, m []string) domain.Submission {
		return domain.RegistrationWithdrawal{Heading: h, Person: s.reference(m[1]), Reason: domain.ReasonDuplicate}
	}},
	{regexp.MustCompile(`^(\w+)'s (` + ordinals + `) dose is withdrawn$`), func(s *scenario, h domain.Heading, m []string) domain.Submission {
		return domain.DoseWithdrawal{Heading: h, Person: s.reference(m[1]), Number: ordinal(m[2]), Reason: domain.ReasonEnteredInError}
	}},
	{regexp.MustCompile(`^(\w+) asks to be set back to (\w+)$`), func(s *scenario, h domain.Heading, m []string) domain.Submission {
		to, _ := domain.ParseStatus(m[2])
		if _, ok := s.requests[m[1]]; !ok || !s.pending(m[1]) {
			s.requests[m[1]] = h.ID
		}
		return domain.ReversalRequest{Heading: h, Person: s.reference(m[1]), To: to, Reason: domain.ReasonIssuedByMistake}
	}},
	{regexp.MustCompile(`^(the authority|an official) (approves|rejects) (\w+)'s request$`), func(s *scenario, h domain.Heading, m []string) domain.Submission {
		s.official = m[1] == "an official"
		request, ok := s.requests[m[3]]
		if !ok {
			request = numberedID(1 << 20)
		}
		return domain.ReversalDecision{Heading: h, Request: request, Approve: m[2] == "approves", By: "officer-7"}
	}},
	{regexp.MustCompile(`^(the authority|an official) freezes (\d+)(?: for ([\w, ]+?))?( and whoever comes later)?(, erasing the keys)?$`), (*scenario).freezes},
}

func (s *scenario) read(sentence string, happened time.Time) (domain.Submission, error) {
	if sentence == "the same is sent again" {
		return s.last, nil
	}
	s.ids++
	h := domain.Heading{ID: numberedID(s.ids), At: happened}
	if id, ok := strings.CutPrefix(sentence, "under the id of the last, "); ok {
		sentence, h.ID = id, s.last.Head().ID
	}
	for _, known := range sentences {
		if m := known.pattern.FindStringSubmatch(sentence); m != nil {
			s.official = false
			return known.read(s, h, m), nil
		}
	}
	return nil, fmt.Errorf("nobody understands this sentence")
}

func (s *scenario) registers(h domain.Heading, m []string) domain.Submission {
	district, _ := strconv.ParseUint(m[3], 10, 16)
	group, _ := domain.ParseGroup(m[2])
	born, _ := strconv.Atoi(m[4])
	number := s.number(m[1])
	r := domain.Registration{
		Heading:   h,
		Person:    s.reference(m[1]),
		District:  domain.District(district),
		Group:     group,
		Name:      m[1],
		BirthYear: born,
		Sex:       domain.Female,
		Mobile:    fmt.Sprintf("9%09d", number),
		PhotoID:   domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("%012d", number)},
	}
	if m[5] != "" {
		r.Mobile = m[5]
	}
	if m[6] != "" {
		r.PhotoID.Type, _ = domain.ParsePhotoIDType(m[6])
	}
	if m[7] != "" {
		r.PhotoID.Number = m[7]
	}
	if !s.known(r).Person.IsRegistered() {
		s.homes[m[1]] = r.District
	}
	return r
}

func (s *scenario) getsDose(h domain.Heading, m []string) domain.Submission {
	vaccine, _ := domain.ParseVaccine(m[3])
	place := s.homes[m[1]]
	if m[4] != "" {
		code, _ := strconv.ParseUint(m[4], 10, 16)
		place = domain.District(code)
	}
	if place == 0 {
		place = 208
	}
	return domain.DoseGiven{Heading: h, Person: s.reference(m[1]), District: place, Centre: "208001", Vaccine: vaccine, Batch: "4120Z001", Number: ordinal(m[2])}
}

func (s *scenario) freezes(h domain.Heading, m []string) domain.Submission {
	s.official = m[1] == "an official"
	district, _ := strconv.ParseUint(m[2], 10, 16)
	f := domain.Freeze{Heading: h, District: domain.District(district), Standing: m[4] != "", Order: "DL/2021/117", By: "authority"}
	for _, code := range strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' }) {
		g, _ := domain.ParseGroup(code)
		f.Groups = append(f.Groups, g)
	}
	if m[5] != "" {
		f.Mode = domain.Erase
	}
	return f
}

var (
	askCounts = regexp.MustCompile(`^what (\d+) counts on ([\d-]+)$`)
	askPerson = regexp.MustCompile(`^how (\w+) stands$`)
)

func (s *scenario) asked(question string) (string, error) {
	if m := askCounts.FindStringSubmatch(question); m != nil {
		district, _ := strconv.ParseUint(m[1], 10, 16)
		asOf, err := domain.ParseDay(m[2])
		if err != nil {
			return "", err
		}
		return s.countsOf(domain.District(district), asOf), nil
	}
	if m := askPerson.FindStringSubmatch(question); m != nil {
		e := s.people[s.reference(m[1])]
		if e == nil {
			return "not registered", nil
		}
		answer := e.person.Status.String()
		for _, d := range e.person.Doses() {
			answer += fmt.Sprintf("\n      %s dose of %s on %s in %d", d.Number.Ordinal(), d.Vaccine, d.Day, d.District)
		}
		if s.closed[e.person.Cohort] {
			answer = "frozen, " + answer
		}
		return answer, nil
	}
	return "", fmt.Errorf("nobody understands this question")
}

func (s *scenario) countsOf(d domain.District, asOf domain.Day) string {
	total := map[domain.Measure]int64{}
	for cell, n := range s.counts(asOf) {
		if cell.District == d {
			total[cell.Measure] += n
		}
	}
	return fmt.Sprintf("%d registered: %d unvaccinated, %d partial, %d full; %d reversals pending\n"+
		"      doses: %d first, %d second, %d third, %d precaution",
		total[domain.CountRegistered], total[domain.CountUnvaccinated], total[domain.CountPartial], total[domain.CountFull],
		total[domain.CountPendingReversals],
		total[domain.CountDose1], total[domain.CountDose2], total[domain.CountDose3], total[domain.CountPrecaution])
}

// number returns the person's place in the story, from 1.
func (s *scenario) number(name string) int {
	if i := slices.Index(s.names, name); i >= 0 {
		return i + 1
	}
	s.names = append(s.names, name)
	return len(s.names)
}

func (s *scenario) reference(name string) domain.Reference {
	return domain.MakeReference(fmt.Sprintf("%013d", s.number(name)))
}

func (s *scenario) pending(name string) bool {
	e := s.people[s.reference(name)]
	return e != nil && e.person.Pending != domain.Reversal{}
}

func ordinal(word string) domain.DoseNumber {
	return domain.DoseNumber(slices.Index(strings.Split(ordinals, "|"), word) + 1)
}
