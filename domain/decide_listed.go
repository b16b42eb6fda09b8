package domain

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
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
	people := map[Cohort]int64{}
	for _, l := range k.Listed {
		if l.Frozen {
			continue
		}
		people[l.Person.Cohort]++
		ordered.Moved = append(ordered.Moved, PersonMoved{
			Person:  l.Token,
			From:    l.Person.Cohort,
			To:      k.Splits[l.Person.Cohort].To,
			Sex:     l.Person.Sex,
			Status:  l.Person.Status,
			Day:     max(s.Day(), l.Person.Registered),
			Pending: l.Person.hasPending(),
		})
	}
	slices.SortFunc(ordered.Moved, func(a, b PersonMoved) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	for _, from := range slices.SortedFunc(maps.Keys(people), compareCohorts) {
		split := k.Splits[from]
		ordered.Groups = append(ordered.Groups, from.Group)
		ordered.Cohorts = append(ordered.Cohorts, CohortSize{Cohort: split.To, People: people[from]})
		ordered.Rekeyed = append(ordered.Rekeyed, CohortEpoch{Cohort: from, Epoch: split.Epoch})
	}
	return ordered, nil
}

func compareCohorts(a, b Cohort) int {
	return cmp.Or(cmp.Compare(a.District, b.District), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Generation, b.Generation))
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
