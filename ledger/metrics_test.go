package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bahi/domain"
	"bahi/eventstore"
)

// measured gathers a ledger's metrics: values of counters and gauges, numbers of
// observations of histograms, by name and labels.
func measured(t testing.TB, l *Ledger) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(l.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	bad := registrationOf(3, 208, domain.HealthCareWorker, "2021-01-16")
	bad.Mobile = "1"
	one, two := registrationOf(1, 208, domain.HealthCareWorker, "2021-01-16"), registrationOf(2, 209, domain.HealthCareWorker, "2021-01-16")
	submit(t, l, centre, one, two, bad)
	submit(t, l, centre, one)
	if _, err := l.Person(t.Context(), one.Person, Reader{Officer: "o", Purpose: "legal"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.NextDose(t.Context(), one.Person, Reader{Officer: "o"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.freshCheckpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	is := measured(t, l)
	head := is["bahi_ledger_commits"]
	for name, want := range map[string]float64{
		"bahi_submissions_total{code=,outcome=accepted}":          2,
		"bahi_submissions_total{code=,outcome=duplicate}":         1,
		"bahi_submissions_total{code=,outcome=failed}":            0,
		"bahi_submissions_total{code=bad_value,outcome=rejected}": 1,
		"bahi_submission_seconds":                                 2,
		"bahi_submissions_waiting":                                0,
		"bahi_queue_calls":                                        0,
		"bahi_appends_total{outcome=stored}":                      head,
		"bahi_appends_total{outcome=unknown}":                     0,
		"bahi_append_seconds":                                     head,
		"bahi_commit_events":                                      head,
		"bahi_ledger_up":                                          1,
		"bahi_details_read_total{purpose=legal}":                  1,
		"bahi_details_read_total{purpose=second_dose}":            1,
		"bahi_details_read_total{purpose=medical}":                0,
		"bahi_freezes{state=complete}":                            0,
		"bahi_checkpoint_commits":                                 head,
		"bahi_view_lag_commits{view=people}":                      0,
		"bahi_view_lag_seconds{view=people}":                      0,
		"bahi_view_trouble{view=register}":                        0,
		"bahi_view_rebuilding{view=counts}":                       0,
	} {
		if got, ok := is[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if head < 2 || is["bahi_events_total"] < 3 || is["bahi_ledger_bytes"] < 100 || is["bahi_audit_records"] < 2 {
		t.Errorf("measured %v", is)
	}
	if age := time.Since(time.UnixMilli(int64(1000 * is["bahi_checkpoint_timestamp_seconds"]))); age < 0 || age > time.Minute {
		t.Errorf("the last checkpoint was signed %s ago", age)
	}
	submit(t, l, authority, freezeOf(1, 208, "2021-03-04"))
	if is := measured(t, l); is["bahi_freezes{state=complete}"] != 1 || is["bahi_freezes{state=awaited}"] != 0 {
		t.Errorf("after a freeze: %v", is)
	}
	for name := range is {
		for _, canary := range []string{"Canary", "208", string(one.Person), one.Mobile} {
			if strings.Contains(name, canary) {
				t.Errorf("%s tells %s", name, canary)
			}
		}
	}
}

// TestLagInTime: a commit's age is the server's, not the sandbox's.
func TestLagInTime(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	submit(t, l, centre, registrationOf(1, 208, domain.HealthCareWorker, "2021-01-16"))
	if err := l.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	views, err := l.Projections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ages := ages{Ledger: l, of: map[uint64]float64{}}
	v := views[0]
	if seconds, ok := ages.behind(t.Context(), v); !ok || seconds != 0 {
		t.Errorf("at the head: %v %v", seconds, ok)
	}
	v.Folded, v.Lag = v.Folded-1, 1
	if seconds, ok := ages.behind(t.Context(), v); !ok || seconds <= 0 || seconds > 60 {
		t.Errorf("one behind: %v %v", seconds, ok)
	}
	v.Folded, v.Lag = v.Head, 1 // as if there were one
	if seconds, ok := ages.behind(t.Context(), v); ok {
		t.Errorf("of a commit that is not there: %v", seconds)
	}
}

func TestMetricsOfAClosedLedger(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), Config{Data: t.TempDir() + "/data", Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, l)
	if is := measured(t, l); is["bahi_ledger_up"] != 0 {
		t.Errorf("measured %v", is)
	}
	if not := l.Ready(t.Context()); fmt.Sprint(not) != fmt.Sprint([]error{ErrClosed}) {
		t.Errorf("not ready for %v", not)
	}
}

// TestReady: a ledger whose last append failed is not ready, until one succeeds.
func TestReady(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	if not := l.Ready(t.Context()); len(not) > 0 {
		t.Errorf("an empty ledger is not ready: %v", not)
	}
	submit(t, l, centre, registrationOf(1, 208, domain.HealthCareWorker, "2021-01-16"))
	if not := l.Ready(t.Context()); len(not) > 0 {
		t.Errorf("not ready: %v", not)
	}
	failing := true
	store := l.append
	l.append = l.metrics.timed(func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		if failing {
			return 0, eventstore.ErrFull
		}
		return store(ctx, c, expected)
	})
	one := []domain.Submission{registrationOf(2, 208, domain.HealthCareWorker, "2021-01-16")}
	if _, err := l.Submit(t.Context(), centre, one); err == nil {
		t.Fatal("submitted")
	}
	if not := l.Ready(t.Context()); len(not) != 1 || not[0] != ErrUndecided {
		t.Errorf("not ready for %v", not)
	}
	if is := measured(t, l); is["bahi_appends_total{outcome=failed}"] != 1 || is["bahi_submissions_total{code=,outcome=failed}"] != 1 {
		t.Errorf("measured %v", is)
	}
	failing = false
	submit(t, l, centre, one...)
	if not := l.Ready(t.Context()); len(not) > 0 {
		t.Errorf("not ready: %v", not)
	}
}

// BenchmarkAnswered is what measuring a call of 500 costs.
func BenchmarkAnswered(b *testing.B) {
	m := newMetrics()
	verdicts := make([]domain.Verdict, MaxBundle)
	for i := range verdicts {
		verdicts[i].Outcome = domain.Accepted
	}
	for _, n := range []int{1, MaxBundle} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				m.waiting.Add(int64(n))
				m.answered(n, verdicts[:n], time.Since(began))
			}
		})
	}
}
