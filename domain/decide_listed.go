package domain

import (
	"fmt"
	"slices"
	"strings"
)

// decideFreezeOfListed moves the listed into closed generations. A number that
// nobody of the district has refuses the whole order: there is no way back from a
// freeze, and none to mend a list that was carried out in part. Who is frozen
// already stays where they are.
func decideFreezeOfListed(k Known, s Freeze, mode FreezeMode) (Event, error) {
	var strangers []int
	for i, l := range k.Listed {
		if !l.Person.IsRegistered() || l.Person.Cohort.District != s.District {
			strangers = append(strangers, i+1)
		}
	}
	if len(strangers) > 0 {
		return nil, reject(CodeUnknownPerson, "persons",
			"nobody of this district is registered under number %s of the list; mend the list and order again, nothing is frozen yet", inPlaces(strangers))
	}
	ordered := FreezeOrdered{
		Freeze:   s.ID,
		District: s.District,
		Mode:     mode,
		Order:    s.Order,
		By:       s.By,
		Day:      s.Day(),
		Listed:   int64(len(k.Listed)),
	}
	splits := slices.Clone(k.Splits)
	slices.SortFunc(splits, func(a, b Split) int { return int(a.From.Group) - int(b.From.Group) }) // of a group one cohort is open
	for _, split := range splits {
		people := int64(0)
		for _, l := range k.Listed {
			if l.Frozen || l.Person.Cohort != split.From {
				continue
			}
			people++
			ordered.Moved = append(ordered.Moved, PersonMoved{
				Person:  l.Token,
				From:    split.From,
				To:      split.To,
				Sex:     l.Person.Sex,
				Status:  l.Person.Status,
				Day:     max(s.Day(), l.Person.Registered),
				Pending: l.Person.hasPending(),
			})
		}
		ordered.Groups = append(ordered.Groups, split.From.Group)
		ordered.Cohorts = append(ordered.Cohorts, CohortSize{Cohort: split.To, People: people})
		ordered.Rekeyed = append(ordered.Rekeyed, CohortEpoch{Cohort: split.From, Epoch: split.Epoch})
	}
	slices.SortFunc(ordered.Moved, func(a, b PersonMoved) int { return slices.Compare(a.Person[:], b.Person[:]) })
	return ordered, nil
}

// shownPlaces is how many places of a list a sentence names.
const shownPlaces = 10

// inPlaces writes places of a list: 3, 17 and 2 more.
func inPlaces(places []int) string {
	shown := make([]string, 0, shownPlaces)
	for _, p := range places[:min(len(places), shownPlaces)] {
		shown = append(shown, fmt.Sprint(p))
	}
	text := strings.Join(shown, ", ")
	if more := len(places) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
