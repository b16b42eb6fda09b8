package formats

import (
	"strings"

	"bahi/domain"
)

var (
	errStatus   = badValue("a status is completed, entered-in-error or not-done")
	errNotGiven = &reason{domain.CodeNotGiven, "the dose was not given; nothing is recorded"}
	errProduct  = badValue("these codes tell no product of the drive; give one that does, or the product's name as text: " +
		"COVISHIELD, COVAXIN, SPUTNIK_V, CORBEVAX, ZYCOV_D or ZYCOV_D_2DOSE")
	errNoPlace = &reason{domain.CodeMissingField, "no place or organisation is named by what can be a centre's code; name the centre for the whole file"}
)

// immunization makes an item of an Immunization.
func (b *bundle) immunization(res *resource) Item {
	item, n := res.item(), res.node
	var reject *domain.Rejection
	status := cellOf(n.at("status"))
	stands := read(&status, &reject, readImmunizationStatus)
	who := b.whose(n.at("patient"), res.patient)
	if res.patient != nil {
		who = res.patient.who
	}
	if reject == nil {
		reject = who.reject
	}
	n.at("patient").taken = true
	when := cellOf(occurrence(n))
	dose := domain.DoseGiven{Person: who.person, Number: doseNumberOf(n, &reject)}
	if dose.Person == "" {
		dose.Registration = who.registration
	}
	dose.At = read(&when, &reject, readDay)
	own := ownName(n)
	columns := map[string]*node{
		"person": n.at("patient"), "registration": n.at("patient"), "at": occurrence(n), "given": occurrence(n), "dose": n.at("protocolApplied"),
		"vaccine": n.at("vaccineCode"), "batch": n.at("lotNumber"), "centre": n.at("performer"), "district": n.at("location"),
	}
	if !stands {
		if n.at("vaccineCode").is() {
			dose.Vaccine = productOf(n, &reject)
		}
		s := domain.DoseWithdrawal{
			Person: dose.Person, Registration: dose.Registration, Number: dose.Number, Reason: domain.ReasonEnteredInError,
			Vaccine: dose.Vaccine,
		}
		if !dose.At.IsZero() {
			s.Given = dose.Day()
		}
		if s.At = dose.At; who.rank > 0 {
			s.ID = ForeignID("fhir", "dose_withdrawal", doseID("fhir", dose, own...).String())
		}
		judgeNode(&item, n, s, reject, columns)
		return item
	}
	dose.Vaccine = productOf(n, &reject)
	dose.Batch = n.at("lotNumber").text()
	dose.Centre, dose.District = b.placeOf(res, &reject)
	if who.rank > 0 {
		dose.ID = doseID("fhir", dose, own...)
	}
	judgeNode(&item, n, dose, reject, columns)
	return item
}

// readImmunizationStatus tells whether a dose stands, or was entered in error.
func readImmunizationStatus(status string) (stands bool, _ *reason) {
	switch status {
	case "completed":
		return true, nil
	case "entered-in-error":
		return false, nil
	case "not-done":
		return false, errNotGiven
	case "":
		return false, errEmpty
	}
	return false, errStatus
}

func occurrence(n *node) *node {
	if text := n.at("occurrenceString"); text.is() {
		return text
	}
	return n.at("occurrenceDateTime")
}

// ownName is what a system calls the resource: its first identifier, or its id.
func ownName(n *node) []string {
	n.at("id").taken = true
	for _, i := range n.at("identifier").each() {
		if value := i.at("value").peek(); value != "" {
			i.taken = true
			return []string{i.at("system").peek(), value}
		}
	}
	return []string{n.at("id").peek()}
}

// extension returns the extension of that name, or an empty one.
func extension(n *node, urls ...string) *node {
	for _, e := range n.at("extension").each() {
		for _, url := range urls {
			if e.at("url").peek() == url {
				return e
			}
		}
	}
	return &node{}
}

// doseNumberOf reads the number of the dose in its series, or the procedure that
// tells it. A booster by its procedure is one whatever its number.
func doseNumberOf(n *node, reject **domain.Rejection) domain.DoseNumber {
	number, total := &node{}, &node{}
	for _, protocol := range n.at("protocolApplied").each() {
		for _, kind := range []string{"PositiveInt", "String"} {
			if !number.is() {
				number, total = protocol.at("doseNumber"+kind), protocol.at("seriesDosesPositiveInt")
			}
		}
		if !total.is() {
			total = protocol.at("seriesDosesString")
		}
	}
	procedure := extension(n, extensionProcedure, extensionProcedureNHSD)
	for _, c := range procedure.at("valueCodeableConcept", "coding").each() {
		told := procedureDoses[systemCode{c.at("system").peek(), c.at("code").peek()}]
		if told == domain.Precaution || told != 0 && !number.is() {
			procedure.taken, number.taken = true, true
			return told
		}
	}
	dose, of := cellOf(number), cellOf(total)
	if dose.isEmpty() {
		dose.column = "protocolApplied.doseNumberPositiveInt"
	}
	return read(&dose, reject, func(n string) (domain.DoseNumber, *reason) { return readDoseOf(n, of.text) })
}

// productOf reads the vaccine: the product's name of an extension, a code that
// names a product, or a name beside the codes.
func productOf(n *node, reject **domain.Rejection) domain.Vaccine {
	code := n.at("vaccineCode")
	code.taken = true
	brand := extension(n, extensionBrand)
	if v, wrong := readVaccine(brand.at("valueString").peek()); wrong == nil {
		brand.taken = true
		return v
	}
	for _, c := range code.at("coding").each() {
		if v, ok := vaccineProducts[systemCode{c.at("system").peek(), c.at("code").peek()}]; ok {
			return v
		}
	}
	if v, wrong := readVaccine(code.at("text").peek()); wrong == nil {
		return v
	}
	for _, c := range code.at("coding").each() {
		if v, wrong := readVaccine(c.at("display").peek()); wrong == nil {
			return v
		}
	}
	if *reject == nil {
		*reject = errProduct.about(code.path())
	}
	return 0
}

// placeOf finds centre and district of a dose: of its location, or else of an
// organisation that performed it.
func (b *bundle) placeOf(res *resource, reject **domain.Rejection) (centre string, district domain.District) {
	consider := func(ref *node, kind string) {
		places := []*node{ref.at("identifier")}
		if at := b.find(ref, kind, res); at != nil {
			places = append(places, at.node.at("identifier").each()...)
			address := at.node.at("address").first()
			if d, ok := readDistrictName(address.at("district").peek(), address.at("state").peek()); ok && district == 0 {
				ref.taken, district = true, d
			}
		}
		for _, identifier := range places {
			if code := identifier.at("value").peek(); centre == "" && isCentreCode(code) {
				ref.taken, centre = true, code
			}
		}
	}
	consider(res.node.at("location"), "Location")
	for _, performer := range res.node.at("performer").each() {
		actor := performer.at("actor")
		if actor.at("type").peek() == "Organization" || strings.HasPrefix(lastTwo(actor.at("reference").peek()), "Organization/") ||
			b.find(actor, "Organization", res) != nil {
			consider(actor, "Organization")
		}
	}
	if centre == "" {
		centre = b.options.Centre
	}
	if district == 0 {
		district = b.options.District
	}
	switch {
	case *reject != nil:
	case centre == "":
		*reject = errNoPlace.about("performer")
	case district == 0:
		*reject = errDistrictName.about("location")
	}
	return centre, district
}
