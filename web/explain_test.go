package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"bahi/domain"
	"bahi/projections"
)

// TestExplain: an operator and an auditor are told commits, the others days, however
// finely they ask.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(4))
	settle(t, s)
	day, err := domain.ParseDay("2021-01-16")
	if err != nil {
		t.Fatal(err)
	}
	q := projections.ExplainQuery{District: muzaffarpur, Day: day}
	gather := func(explain func(tell func(projections.Movement) error) error) (all []projections.Movement) {
		t.Helper()
		if err := explain(func(m projections.Movement) error { all = append(all, m); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	commits := gather(func(tell func(projections.Movement) error) error { return s.ledger.Explain(t.Context(), q, tell) })
	days := gather(func(tell func(projections.Movement) error) error { return s.ledger.ExplainDays(t.Context(), q, tell) })
	if len(commits) < 2 || commits[0].Commit == 0 || commits[0].RecordedDay != 0 {
		t.Errorf("commits: %+v", commits)
	}
	if len(days) >= len(commits) || days[0].Commit != 0 || !days[0].Recorded.IsZero() || days[0].RecordedDay == 0 {
		t.Errorf("days: %+v", days)
	}
	var each, together projections.Figures
	for _, m := range commits {
		each = each.Plus(m.Figures)
	}
	for _, m := range days {
		together = together.Plus(m.Figures)
	}
	if each != together || each.Registered != 4 {
		t.Errorf("commits add up to %+v, days to %+v", each, together)
	}
	for _, role := range []string{officer, analyst, operator, authority, auditor} {
		c := s.client(t, role)
		got := gather(func(tell func(projections.Movement) error) error { return c.Explain(t.Context(), q, tell) })
		want := days
		if role == operator || role == auditor {
			want = commits
		}
		same(t, role, got, want)
		path := "/v1/districts/208/counts/explain?day=2021-01-16&as_known=2021-01-16T00:00:00%2B05:30"
		if got := s.ask(t, role, "GET", path, ""); got.status != http.StatusOK || strings.Contains(got.body, "commit") != (role == operator || role == auditor) {
			t.Errorf("%s is answered %d %s", role, got.status, got.body)
		}
	}
	for path, field := range map[string]string{
		"/v1/districts/all/counts/explain?day=2021-01-16":                              "code",
		"/v1/districts/9999/counts/explain?day=2021-01-16":                             "code",
		"/v1/districts/208/counts/explain?day=16":                                      "day",
		"/v1/districts/208/counts/explain":                                             "day",
		"/v1/districts/208/counts/explain?day=2021-01-16&as_known=later":               "as_known",
		"/v1/districts/208/counts/diff":                                                "since",
		"/v1/districts/208/counts/diff?since=then":                                     "since",
		"/v1/districts/208/counts/diff?since=2021-01-16&by=village":                    "by",
		"/v1/districts/208/counts/diff?since=2021-01-16&by=day-known":                  "",
		"/v1/districts/208/counts/diff?since=2099-01-16":                               "",
		"/v1/districts/208/counts/diff?since=2021-01-16&as_of=2021-01-40":              "as_of",
		"/v1/districts/208/counts/diff?since=2021-01-16&as_known=9999-12-31T23:59:59Z": "as_known",
	} {
		got := s.ask(t, auditor, "GET", path, "")
		if p := got.problem(t); got.status != http.StatusBadRequest || p.Field != field {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
}

func TestDiffCounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	q := projections.CountsQuery{District: muzaffarpur, By: []projections.Dimension{projections.ByGroup}, AsKnown: at("2021-01-31T23:59:59+05:30")}
	since := at("2021-01-16T23:59:59+05:30")
	want, err := s.ledger.DiffCounts(t.Context(), q, since)
	if err != nil {
		t.Fatal(err)
	}
	if want.Figures.Dose1 != 2 || want.Figures.Registered != 0 || len(want.By) != 1 {
		t.Errorf("from the ledger: %+v", want)
	}
	for _, role := range []string{officer, analyst, authority, auditor} {
		got, err := s.client(t, role).DiffCounts(t.Context(), q, since)
		if err != nil {
			t.Errorf("%s: %v", role, err)
		}
		same(t, role, got, want)
	}
	q.District, q.By = 0, nil
	want, err = s.ledger.DiffCounts(t.Context(), q, since)
	if err != nil || want.By != nil {
		t.Errorf("everywhere: %+v, %v", want, err)
	}
	got, err := s.client(t, analyst).DiffCounts(t.Context(), q, since)
	if err != nil {
		t.Error(err)
	}
	same(t, "everywhere", got, want)
}

// TestAnalystsKnowDays: counts as known at moments of one day would tell when each entry
// of an analyst's history was recorded.
func TestAnalystsKnowDays(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	for path, field := range map[string]string{
		"counts?as_known=2021-01-20T12:00:00Z":                       "as_known",
		"counts?as_known=2021-01-20T00:00:00%2B05:30":                "as_known",
		"counts?as_known=2021-01-20T18:29:59Z":                       "",         // the end of the day, as it is told
		"counts?as_known=2021-01-20T18:29:59.5Z":                     "as_known", // half a second before it
		"counts?as_known=2021-01-20":                                 "",
		"statement?as_known=2021-01-20T12:00:00Z":                    "as_known",
		"counts/diff?since=2021-01-16&as_known=2021-01-20T12:00:00Z": "as_known",
		"counts/diff?since=2021-01-16T12:00:00Z":                     "since",
		"counts/diff?since=2021-01-16":                               "",
	} {
		got := s.ask(t, analyst, "GET", "/v1/districts/208/"+path, "")
		if field == "" && got.status != http.StatusOK {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		} else if field != "" && (got.status != http.StatusForbidden || got.problem(t).Code != codeForbidden || got.problem(t).Field != field) {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
		for _, role := range []string{officer, auditor} {
			if got := s.ask(t, role, "GET", "/v1/districts/208/"+path, ""); got.status != http.StatusOK {
				t.Errorf("%s: %s is answered %d %s", role, path, got.status, got.body)
			}
		}
	}
}

// TestFewTablesAtATime: counts by day are large, and for those within a day the ledger is
// read.
func TestFewTablesAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.tables, l.wait = 1, 2*time.Second })
	settle(t, s)
	const counts, statement = "/v1/districts/208/counts", "/v1/districts/208/statement"
	tables := []string{counts + "?by=day", counts + "?by=group,day-known", counts + "/diff?since=2021-01-16&by=day", counts + "?as_known=2021-01-18T12:00:00Z", counts + "?as_known=2021-01-18T23:59:59.5%2B05:30", counts + "/diff?since=2021-01-16T12:00:00Z", statement + "?as_known=2021-01-18T12:00:00Z"}
	for range 2 { // each leaves its place
		for _, path := range tables {
			if got := s.ask(t, officer, "GET", path, ""); got.status != http.StatusOK {
				t.Errorf("%s is answered %d %s", path, got.status, got.body)
			}
		}
	}
	if !s.server.tables.take(t.Context(), time.Minute) { // the last answer was read before its place was left
		t.Fatal("a place is not left")
	}
	for _, path := range tables {
		if got := s.ask(t, officer, "GET", path, ""); got.status != http.StatusServiceUnavailable || got.problem(t).Code != codeBusy {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
	for _, small := range []string{counts + "?by=group", counts + "?by=group&as_known=2021-01-18", counts + "?as_known=2021-01-18T23:59:59%2B05:30", counts + "/diff?since=2021-01-16", statement} {
		if got := s.ask(t, officer, "GET", small, ""); got.status != http.StatusOK {
			t.Errorf("%s is answered %d %s", small, got.status, got.body)
		}
	}
}
