package formats_test

import (
	"fmt"
	"log"
	"strings"

	"bahi/formats"
)

func ExampleReadNDJSON() {
	input := `{"type":"dose_withdrawal","id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001","at":"2021-04-04","person":"21679381234566","dose":2,"reason":"entered_in_error"}
{"type":"dose_withdrawal","id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a002","at":"2021-04-04","person":"21679381234566","dose":2,"reason":"entered_in_error","address":"Mithanpura"}
{"type":"dose_withdrawal",`
	for item, err := range formats.ReadNDJSON(strings.NewReader(input)) {
		if err != nil {
			log.Fatal(err)
		}
		if item.Reject != nil {
			fmt.Printf("line %d: %s: %s\n", item.Line, item.Reject.Code, item.Reject.Message)
			continue
		}
		fmt.Printf("line %d: %T\n", item.Line, item.Submission)
	}
	// Output:
	// line 1: domain.DoseWithdrawal
	// line 2: not_collected: addresses and test results are not collected; leave the field out
	// line 3: bad_json: the line is not one JSON object; it stops being one at byte 27
}
