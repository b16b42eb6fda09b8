package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"bahi/domain"
	"bahi/projections"
)

// Of rows that change by the same from day to day the first is written, and where the
// change is over: on the day after, however long nothing follows.
func TestChangeLines(t *testing.T) {
	t.Parallel()
	row := func(day domain.Day, group domain.Group, n int64) projections.CountsChange {
		return projections.CountsChange{CountsRow: projections.CountsRow{Day: &day, Group: &group, Figures: projections.Figures{Dose1: n}}}
	}
	first := domain.Date(2021, 1, 16)
	var got []string
	lines := changeLines{
		by: []projections.Dimension{projections.ByGroup, projections.ByDay}, asOf: first + 9,
		write: func(line string) { got = append(got, line) },
	}
	for _, r := range []projections.CountsChange{
		row(first, domain.HealthCareWorker, 1), row(first, domain.FrontLineWorker, 1),
		row(first+1, domain.HealthCareWorker, 1), row(first+1, domain.FrontLineWorker, 2),
		row(first+2, domain.FrontLineWorker, 2),
		row(first+5, domain.FrontLineWorker, 2),
		row(first+8, domain.HealthCareWorker, -1), row(first+9, domain.HealthCareWorker, -1), row(first+9, domain.FrontLineWorker, 3),
	} {
		lines.add(r)
	}
	lines.end()
	want := []string{
		"HCW 2021-01-16: dose 1 +1", "FLW 2021-01-16: dose 1 +1",
		"FLW 2021-01-17: dose 1 +2",
		"HCW 2021-01-18: nothing",
		"FLW 2021-01-19: nothing",
		"FLW 2021-01-21: dose 1 +2", "FLW 2021-01-22: nothing",
		"HCW 2021-01-24: dose 1 -1",
		"FLW 2021-01-25: dose 1 +3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("written:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Columns look as a tabwriter makes them.
func TestColumns(t *testing.T) {
	t.Parallel()
	var got, want bytes.Buffer
	var c columns
	w := tabwriter.NewWriter(&want, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, cells := range [][]string{{"group", "dose 1", ""}, {"", "12,345,678", "0"}, {"AGE60_PLUS", "1", "2"}} {
		c.line(slices.Clone(cells))
		fmt.Fprintln(w, strings.Join(cells, "\t")+"\t")
	}
	if err := c.write(&got); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("%q, want %q", &got, &want)
	}
}
