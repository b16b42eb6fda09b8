package main

import (
	"testing"

	"bahi/projections"
)

// The table of states says of a rebuild what it is about.
func TestRemark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status projections.ViewStatus
		want   string
	}{
		{projections.ViewStatus{}, ""},
		{projections.ViewStatus{Building: 1200}, "\ta rebuild was stopped at 1,200"},
		{projections.ViewStatus{Building: 1200, Total: 2400, Step: projections.StepFolding, Rate: 3600, Left: 2}, "\trebuilding, folding 1,200 of 2,400, 3,600 events/s, 2 s left"},
		{projections.ViewStatus{Step: projections.StepComparing, Trouble: "it is so"}, "\trebuilding, comparing\tit is so"},
	} {
		if got := remark(c.status); got != c.want {
			t.Errorf("%+v: %q, want %q", c.status, got, c.want)
		}
	}
}
