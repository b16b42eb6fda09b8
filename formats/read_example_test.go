package formats_test

import (
	"fmt"
	"log"
	"strings"

	"bahi/formats"
)

// A certificate of DIVOC is a registration, stated again, and a dose; its address
// goes no further than this.
func ExampleRead() {
	input := `[{
  "preEnrollmentCode": "9000000001-1",
  "recipient": {
    "name": "Anita Kumari", "dob": "1961-04-30", "gender": "Female", "contact": ["tel:9000000001"],
    "identity": "did:in.gov.uidai.aadhaar:234567890123",
    "address": {"addressLine1": "12, Mithanpura", "district": "Muzaffarpur", "state": "Bihar"}
  },
  "vaccination": {"name": "COVISHIELD", "batch": "4120Z001", "date": "2021-03-02", "dose": 1, "totalDoses": 2},
  "facility": {"name": "208001", "address": {"district": "Muzaffarpur", "state": "Bihar"}}
}]`
	items, err := formats.Read(strings.NewReader(input), formats.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for item, err := range items {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("line %d: %T, dropped %q, %v\n", item.Line, item.Submission, item.Dropped, item.Reject)
	}
	// Output:
	// line 1: domain.Registration, dropped ["recipient.address"], <nil>
	// line 1: domain.DoseGiven, dropped ["preEnrollmentCode" "facility.address"], <nil>
}
