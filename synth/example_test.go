package synth_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"bahi/synth"
)

// A file of counters becomes submissions, one a line: at the end of 17 January
// three people are registered and two have had a first dose.
func ExampleWrite() {
	counters, err := synth.ReadCounts(strings.NewReader(
		"date,district_key,total_individuals_registered,first_dose_administered,second_dose_administered\n" +
			"2021-01-16,BR_Muzaffarpur,2,1,0\n" +
			"2021-01-17,BR_Muzaffarpur,3,2,0\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	var ndjson bytes.Buffer
	summary, err := synth.Write(context.Background(), &ndjson, counters, synth.Options{Seed: 1}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(summary)
	first, _, _ := strings.Cut(ndjson.String(), "\n")
	fmt.Println(first)
	// Output:
	// 5 submissions of 1 district, 2021-01-16 to 2021-01-17: 3 registrations, 2 doses, 0 withdrawals.
	// {"type":"registration","id":"0177093e-16c8-77bd-87f6-7f5f6d21a981","at":"2021-01-16T09:00:00+05:30","person":"29823937500233","district":208,"group":"HCW","name":"Ranju Choudhary","birth_year":1986,"sex":"F","mobile":"8955707930","photo_id":{"type":"AADHAAR","number":"159588836560"}}
}

// The story of the head district needs no file.
func ExampleDemo() {
	story := synth.Demo(1)
	for i, group := range story.Groups {
		fmt.Println(group, story.People[i])
	}
	fmt.Printf("%+v\n", story.AtFreeze)
	fmt.Printf("%+v\n", story.AtEnd)
	// Output:
	// HCW 21329
	// FLW 11000
	// AGE45_60 2500
	// {Registered:34829 Dose1:24180 Dose2:4210 Unvaccinated:10649 Partial:19970 Full:4210}
	// {Registered:34829 Dose1:24180 Dose2:12640 Unvaccinated:10649 Partial:11540 Full:12640}
}
