package synth_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"bahi/domain"
	"bahi/synth"
)

// TestDemo lets the judge hear the story for several seeds: everything is
// accepted, and the counts are those that the story tells.
func TestDemo(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		story := synth.Demo(seed)
		j := newJudge()
		submit := func(all []domain.Submission, least, most time.Time) {
			t.Helper()
			for _, s := range all {
				if at := s.Head().At; at.Before(least) || !at.Before(most) {
					t.Fatalf("seed %d: a submission of %s is out of place", seed, at)
				}
				if err := j.submit(s); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		counted := func(want synth.Tally) {
			t.Helper()
			c := j.of(story.District)
			got := synth.Tally{Registered: c.registered, Dose1: c.first, Dose2: c.second, Unvaccinated: c.unvaccinated, Partial: c.partial, Full: c.full}
			if got != want {
				t.Errorf("seed %d: %+v, the story tells %+v", seed, got, want)
			}
		}
		submit(story.Before, domain.Date(2021, 1, 16).Start(), story.FreezeAt)
		counted(story.AtFreeze)
		if story.AtFreeze.Registered != 34_829 {
			t.Errorf("%d people", story.AtFreeze.Registered)
		}
		byGroup := map[domain.Group]int64{}
		for _, p := range j.people {
			if p.IsRegistered() {
				byGroup[p.Cohort.Group]++
			}
		}
		for i, g := range story.Groups {
			if byGroup[g] != story.People[i] {
				t.Errorf("%d people of %s, want %d", byGroup[g], g, story.People[i])
			}
		}
		if p := j.people[story.LookUp]; p == nil || p.Status != domain.Partial {
			t.Errorf("who is looked up: %+v", p)
		}
		asking := j.people[story.Request.Person]
		if asking == nil || asking.Status != domain.Full {
			t.Fatalf("who asks for a reversal: %+v", asking)
		}

		submit(story.After, story.FreezeAt, story.Request.At)
		counted(story.AtEnd)
		if p := j.people[story.LookUp]; p.Status != domain.Full {
			t.Errorf("who was looked up has no second dose: %+v", p)
		}
		reverse(t, j, story)
		counted(story.Reversed)
	}
}

func reverse(t *testing.T, j *judge, story synth.Story) {
	t.Helper()
	person := *j.people[story.Request.Person]
	fold := func(s domain.Submission, k domain.Known) domain.Event {
		if err := domain.Check(s); err != nil {
			t.Fatal(err)
		}
		k.Person = person
		event, err := domain.Decide(k, j.rules, s, s.Head().At)
		if err != nil {
			t.Fatal(err)
		}
		after := domain.Evolve(person, event, 1, s.Head().Day())
		j.count(event, person, after)
		person = after
		return event
	}
	fold(story.Request, domain.Known{})
	decided := fold(story.Decision, domain.Known{Authority: true, Request: domain.RequestPending}).(domain.ReversalDecided)
	for _, d := range decided.TakenBack {
		j.of(d.District).second--
	}
	if person.Status != domain.Partial {
		t.Errorf("after the reversal: %+v", person)
	}
}

func TestDemoIsTheSameForASeed(t *testing.T) {
	t.Parallel()
	first, again, other := synth.Demo(1), synth.Demo(1), synth.Demo(2)
	if !reflect.DeepEqual(first, again) {
		t.Error("the same seed told another story")
	}
	if first.LookUp == other.LookUp || first.Request.ID == other.Request.ID {
		t.Error("another seed told of the same people")
	}
}

func TestLinesAndValuesAreTheSame(t *testing.T) {
	t.Parallel()
	for _, file := range []string{dailyFixture, weeklyFixture} {
		c, err := synth.ReadCounts(strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		err = synth.Both(c, synth.Options{Seed: 3}, func(line []byte, s domain.Submission) {
			parsed, err := parse(line)
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if !parsed.Head().At.Equal(s.Head().At) {
				t.Fatalf("%s is not of %s", line, s.Head().At)
			}
			if withoutTime(parsed) != withoutTime(s) {
				t.Fatalf("%s is not %+v", line, s)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func withoutTime(s domain.Submission) domain.Submission {
	switch s := s.(type) {
	case domain.Registration:
		s.At = time.Time{}
		return s
	case domain.DoseGiven:
		s.At = time.Time{}
		return s
	case domain.RegistrationWithdrawal:
		s.At = time.Time{}
		return s
	case domain.DoseWithdrawal:
		s.At = time.Time{}
		return s
	}
	return s
}
