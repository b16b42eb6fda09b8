package formats_test

import (
	"fmt"
	"log"
	"strings"

	"bahi/formats"
)

func ExampleReadCSV() {
	input := `Type;At;Person;District;Centre;Vaccine;Batch;Dose
dose;16/01/2021;21679381234566;Muzaffarpur;208001;Covishield;4120Z001;1
dose;01/16/2021;21679381234566;Muzaffarpur;208001;Covishield;4120Z001;1
dose;16/01/2021;2.16794E+13;Muzaffarpur;208001;Covishield;4120Z001;1
`
	for item, err := range formats.ReadCSV(strings.NewReader(input), formats.Options{}) {
		if err != nil {
			log.Fatal(err)
		}
		if item.Reject != nil {
			fmt.Printf("line %d: %s: %s: %s\n", item.Line, item.Reject.Code, item.Reject.Field, item.Reject.Message)
			continue
		}
		fmt.Printf("line %d: %s\n", item.Line, formats.AppendSubmission(nil, item.Submission))
	}
	// Output:
	// line 2: {"type":"dose","id":"ce78b87c-234a-8dcb-972a-e530415f2679","at":"2021-01-16","person":"21679381234566","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}
	// line 3: bad_value: At: the date has the month before the day; write the day first, 16-01-2021, or 2021-01-16
	// line 4: bad_reference: Person: the number is in scientific notation, its last digits are lost; format the column as text before saving and enter the number anew
}
