package domain

import "fmt"

// Cohort is district × priority group × generation: the people who share one
// key, one span of the people view, one set of count cells, and one fate when
// an authority freezes records. Generations start at 1; a freeze closes the
// cohort, and later registrations of the same district and group open the next
// generation.
type Cohort struct {
	District   District
	Group      Group
	Generation uint16
}

// String returns the cohort as district/group/generation, such as 208/HCW/1.
func (c Cohort) String() string {
	return fmt.Sprintf("%d/%s/%d", c.District, c.Group, c.Generation)
}

// CohortEpoch is a cohort and an epoch of its key. The first is 1; a freeze of
// listed persons begins the next, so that the key of the one before can die.
type CohortEpoch struct {
	Cohort Cohort
	Epoch  uint16
}

// CohortSize is a cohort and how many people are registered in it.
type CohortSize struct {
	Cohort Cohort
	People int64
}
