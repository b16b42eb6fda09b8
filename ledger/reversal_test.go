package ledger

import (
	"testing"

	"bahi/domain"
	"bahi/internal/natstest"
)

// TestReversalsOfOtherNodesAreListed: a node that decides nothing itself lists what
// waits, and no more of it than waits.
func TestReversalsOfOtherNodesAreListed(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	first := openNode(t, url, nil)
	second := openNode(t, url, first)
	ask := domain.ReversalRequest{
		Heading: domain.Heading{ID: uuidOf(7, 1), At: at("2021-03-01")}, Person: referenceOf(1), To: domain.Unvaccinated, Reason: domain.ReasonIssuedByMistake,
	}
	want(t, submit(t, first, centre,
		registrationOf(1, 208, domain.HealthCareWorker, "2021-01-16"), doseOf(1, 1, 208, "2021-01-17"), ask), domain.Accepted)
	listed := func(n int) {
		t.Helper()
		pending, err := second.PendingReversals(t.Context(), 0, 0)
		if err != nil || len(pending) != n {
			t.Errorf("the other node lists %v (%v), want %d", pending, err, n)
		}
	}
	listed(1)
	want(t, submit(t, first, authority, domain.ReversalDecision{
		Heading: domain.Heading{ID: uuidOf(8, 1), At: at("2021-03-02")}, Request: ask.ID, By: "officer-7",
	}), domain.Accepted)
	listed(0)
}
