package access_test

import "testing"

// BenchmarkBearer: what a request pays to be let in.
func BenchmarkBearer(b *testing.B) {
	o := newOffice(b)
	issued := o.issue(b, forOfficer)
	for b.Loop() {
		if _, err := o.Bearer(b.Context(), issued.Text, false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTake: and to be held to its rate.
func BenchmarkTake(b *testing.B) {
	o := newOffice(b)
	p, err := o.Bearer(b.Context(), o.issue(b, forOfficer).Text, false)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		o.Take(p)
	}
}

// BenchmarkIssue: one recorded event, flushed.
func BenchmarkIssue(b *testing.B) {
	o := newOffice(b)
	for b.Loop() {
		o.issue(b, forOfficer)
	}
}
