package formats

import (
	"bufio"
	"io"
	"iter"
	"strings"

	"bahi/domain"
)

// ReadDIVOC reads bodies of DIVOC's calls to certify, v1 and v3, or one of its
// CSV files (see [ReadCSV]), told by the first line. A record is a certificate of
// one dose, and gives a registration that it states again and the dose. The update
// of a certificate is refused.
func ReadDIVOC(r io.Reader, o Options) iter.Seq2[Item, error] {
	in := bufio.NewReader(decoded(r))
	return func(yield func(Item, error) bool) {
		if !beginsJSON(in) {
			ReadCSV(in, o)(yield)
			return
		}
		readRecords(in, looksLikeDIVOC, o.certificate)(yield)
	}
}

func looksLikeDIVOC(text string) bool {
	return hasMember(text, "recipient", "vaccination", "preEnrollmentCode")
}

// certificate reads one record of a call to certify.
func (o Options) certificate(rec record) []Item {
	root := openRecord(rec.text)
	if !looksLikeDIVOC(rec.text) {
		return []Item{rec.refused(rejection(domain.CodeUnknownType, "", "the record has neither recipient nor vaccination, as a call to certify has"))}
	}
	to, given, facility := root.at("recipient"), root.at("vaccination"), root.at("facility")
	if previous := root.at("meta", "previousCertificateId"); previous.is() {
		return []Item{rec.refused(rejection(domain.CodeNotSupported, previous.path(),
			"certificates are not corrected; withdraw the dose and send the certificate without this field"))}
	}
	var c certificate
	cells := []struct {
		cell *cell
		node *node
	}{
		{&c.code, root.at("preEnrollmentCode")},
		{&c.name, to.at("name")},
		{&c.birthDate, to.at("dob")},
		{&c.age, to.at("age")},
		{&c.sex, to.at("gender")},
		{&c.mobile, telephone(to.at("contact"))},
		{&c.identity, to.at("identity")},
		{&c.district, to.at("address", "district")},
		{&c.state, to.at("address", "state")},
		{&c.date, given.at("date")},
		{&c.dose, given.at("dose")},
		{&c.totalDoses, given.at("totalDoses")},
		{&c.vaccine, given.at("name")},
		{&c.batch, given.at("batch")},
		{&c.facility, facility.at("name")},
		{&c.facilityDistrict, facility.at("address", "district")},
		{&c.facilityState, facility.at("address", "state")},
	}
	for _, x := range cells {
		x.cell.column, x.cell.text = x.node.path(), x.node.text()
	}
	registration, dose := rec.item(), rec.item()
	r, whyNoRegistration, d, whyNoDose := c.submissions(o)
	if twice, found := root.twice(); found {
		return []Item{rec.refused(twiceThere(twice))}
	}
	registration.judge(r, whyNoRegistration, c.columnOf)
	dose.judge(d, whyNoDose, c.doseColumnOf)
	for _, x := range cells {
		x.node.taken = !x.cell.unused
	}
	registration.Dropped = to.untaken()
	to.taken = true
	dose.Dropped = root.untaken()
	return []Item{registration, dose}
}

// telephone returns the contact that is a mobile number or, where none is, the
// first.
func telephone(contacts *node) *node {
	for _, n := range contacts.each() {
		if _, wrong := readMobile(n.peek()); wrong == nil {
			return n
		}
	}
	for _, n := range contacts.each() {
		if strings.HasPrefix(n.peek(), "tel:") {
			return n
		}
	}
	return contacts.first()
}
