package export_test

import (
	"fmt"
	"os"

	"bahi/domain"
	"bahi/export"
	"bahi/ledger"
)

func Example() {
	w, err := export.NewWriter(os.Stdout, export.CSV, export.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	day := domain.Date(2021, 1, 16)
	_ = w.Write(ledger.ReplayEvent{
		Type: "registered", Day: day, Recorded: day, Person: "9f86d081884c7d659a2feaa0",
		District: 208, Group: domain.HealthCareWorker, Sex: domain.Female, StatusAfter: domain.Unvaccinated,
	})
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// type,day,recorded,person,district,group,sex,dose_district,dose,vaccine,status_before,status_after,approved,reason,mode,frozen_people,counted,taken_back,request_ended
	// registered,2021-01-16,2021-01-16,9f86d081884c7d659a2feaa0,208,HCW,F,,,,,unvaccinated,,,,,,,
}
