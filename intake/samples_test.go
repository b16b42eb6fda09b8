package intake

import "strings"

const (
	id1 = "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"
	id2 = "018F3C1E-7A52-7BB0-9A1C-2F64D1C0A002"
	ref = "21679381234566"
)

// One line of each type, as CONTRACT has them.
var samples = []string{
	`{"type":"registration","id":"` + id1 + `","at":"2021-01-16T10:05:00+05:30","person":"` + ref + `","district":208,"group":"HCW","name":"सुनीता देवी","birth_year":1961,"sex":"F","mobile":"9000000001","photo_id":{"type":"AADHAAR","number":"234567890123"}}`,
	`{"type":"dose","id":"` + id1 + `","at":"2021-01-16","person":"` + ref + `","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`,
	`{"type":"dose","id":"` + id1 + `","at":"2022-01-16","person":"` + ref + `","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":"precaution"}`,
	`{"type":"registration_withdrawal","id":"` + id1 + `","at":"2021-02-18","person":"` + ref + `","reason":"duplicate"}`,
	`{"type":"dose_withdrawal","id":"` + id1 + `","at":"2021-04-04","person":"` + ref + `","dose":2,"reason":"entered_in_error"}`,
	`{"type":"reversal_request","id":"` + id1 + `","at":"2022-01-22T09:00:00+05:30","person":"` + ref + `","to":"partial","reason":"issued_by_mistake"}`,
	`{"type":"reversal_decision","id":"` + id1 + `","at":"2022-01-26T09:00:00+05:30","request":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a009","decision":"approve","by":"officer-7"}`,
	`{"type":"freeze","id":"` + id1 + `","at":"2021-03-04T18:00:00+05:30","district":208,"groups":["HCW","FLW"],"standing":false,"mode":"handover","order":"DL/2021/117","by":"authority"}`,
}

// swap replaces a part of a sample that must be there.
func swap(sample, old, new string) string {
	if !strings.Contains(sample, old) {
		panic("the sample has no " + old)
	}
	return strings.Replace(sample, old, new, 1)
}
