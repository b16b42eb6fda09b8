package formats

import (
	"slices"
	"strconv"
	"strings"

	"bahi/domain"
)

// whose is how an Immunization names its person.
type whose struct {
	rank         int // 1 is best; 0 is nobody
	person       domain.Reference
	registration domain.UUID
	reject       *domain.Rejection // why the name cannot be used
}

var (
	errNobody      = &reason{domain.CodeMissingField, "whose dose this is cannot be told: neither a Patient is there, nor a reference or identifier with a system"}
	errWhichServer = &reason{domain.CodeMissingField, "a reference such as Patient/17 tells the person only together with whose server it is of; " +
		"name district and centre for the whole file, or send the Patient with a photo ID"}
	errNoPhotoID = &reason{domain.CodeMissingField, "the Patient has no identifier that is known for a photo ID; give its type, such as PPN, DL or ADN, or the name of the document as the type's text"}
	errNoPhone   = &reason{domain.CodeMissingField, "the Patient has no phone among its telecom"}
)

// whose names the person of a reference to a Patient, which may be there. What
// comes first is best:
//
//  1. an identifier that is a reference number of this ledger,
//  2. a photo ID, of the Patient or of the reference itself, by which records of
//     every format mean the same person,
//  3. another identifier with a system, of the reference or of the Patient,
//  4. where the reference leads: an address, or type and id on the centre's server,
//  5. a name that holds within its Bundle, by which the Patient may be found later.
func (b *bundle) whose(ref *node, p *resource) whose {
	own, patient := ref.at("identifier"), &node{}
	if p != nil {
		patient = p.node
	}
	all := append(slices.Clone(patient.at("identifier").each()), own)
	id := photoIDAmong(all)
	for _, i := range all {
		if !isBeneficiary(i) {
			continue
		}
		person, wrong := readReference(i.at("value").text())
		if wrong != nil {
			return whose{rank: 1, reject: wrong.about(i.at("value").path())}
		}
		i.taken = true
		registration := ForeignID("fhir", "registration", "beneficiary", string(person))
		if id.Type != 0 {
			registration = registrationID(id)
		}
		return whose{rank: 1, person: person, registration: registration}
	}
	if id.Type != 0 {
		return whose{rank: 2, registration: registrationID(id)}
	}
	for _, i := range append([]*node{own}, all...) {
		system, value := i.at("system").peek(), i.at("value").peek()
		if _, isPhotoID := photoIDKind(i); !isPhotoID && system != "" && value != "" {
			i.taken = true
			return whose{rank: 3, registration: ForeignID("fhir", "registration", "identifier", system, value)}
		}
	}
	name, _, _ := strings.Cut(ref.at("reference").text(), "/_history/")
	if patientID := patient.at("id").text(); name == "" && patientID != "" {
		name = "Patient/" + patientID
	}
	switch {
	case name == "" || strings.HasPrefix(name, "#"):
		return whose{reject: errNobody.about(ref.path())}
	case strings.HasPrefix(name, "urn:"):
		return whose{rank: 5, registration: ForeignID("fhir", "registration", "reference", name)}
	case strings.Contains(name, "://"):
		return whose{rank: 4, registration: ForeignID("fhir", "registration", "reference", name)}
	case b.options.District == 0 || b.options.Centre == "":
		return whose{reject: errWhichServer.about(ref.path())}
	}
	// Other servers have other patients of that id.
	return whose{rank: 4, registration: ForeignID("fhir", "registration",
		"reference", strconv.Itoa(int(b.options.District)), b.options.Centre, name)}
}

// photoIDAmong returns the first photo ID that can be read, or none.
func photoIDAmong(identifiers []*node) domain.PhotoID {
	for _, i := range identifiers {
		if kind, ok := photoIDKind(i); ok && !isBeneficiary(i) {
			if id, wrong := readPhotoID(kind, i.at("value").peek()); wrong == nil {
				i.taken = true
				return id
			}
		}
	}
	return domain.PhotoID{}
}

// isBeneficiary tells an identifier that is a reference number of this ledger by
// its system, or by the text of its type.
func isBeneficiary(i *node) bool {
	return folded(lastSegment(i.at("system").peek())) == systemBeneficiary || folded(i.at("type", "text").peek()) == systemBeneficiary
}

func lastSegment(uri string) string {
	return uri[strings.LastIndexAny(uri, "/:.")+1:]
}

// photoIDKind tells which document an identifier is of, by the code of its type,
// by its name, by the last word of its system or, of DIVOC's identities, by the
// value. The document's name is for [readPhotoID], and empty when the value says
// all.
func photoIDKind(i *node) (string, bool) {
	for _, c := range i.at("type", "coding").each() {
		if t, ok := photoIDTypes[systemCode{c.at("system").peek(), c.at("code").peek()}]; ok {
			return t.String(), true
		}
	}
	for _, name := range []string{i.at("type", "text").peek(), lastSegment(i.at("system").peek())} {
		if _, wrong := photoIDType(name); wrong == nil && !allDigits(name) {
			return name, true
		}
	}
	_, _, isIdentity := splitIdentity(i.at("value").peek())
	return "", isIdentity
}

// registration makes an item of a Patient, whom whose has named.
func (b *bundle) registration(p *resource) Item {
	item := p.item()
	n := p.node
	var reject *domain.Rejection
	if p.who.rank > 0 { // who is nobody has no photo ID either, which says it better
		reject = p.who.reject
	}
	name, phone, home := officialName(n), phoneOf(n), n.at("address").first()
	birthDate, sex := cellOf(n.at("birthDate")), cellOf(n.at("gender"))
	// A date of birth may be a year, or a year and a month.
	if year, _, found := strings.Cut(birthDate.text, "-"); found && len(birthDate.text) == len("1961-04") {
		birthDate.text = year
	}
	district, state := cellOf(home.at("district")), cellOf(home.at("state"))
	s := domain.Registration{
		Person:    p.who.person,
		District:  placeOf(&district, &state, b.options, &reject),
		Name:      nameText(name),
		BirthYear: read(&birthDate, &reject, readBirthYear),
		Sex:       read(&sex, &reject, readSex),
		Mobile:    mobileOf(phone, &reject),
		PhotoID:   photoIDOf(n, &reject),
		Restated:  true,
	}
	home.at("district").taken, home.at("state").taken = !district.unused, !state.unused
	s.ID, s.At = p.who.registration, p.at
	if s.At.IsZero() {
		s.At = b.options.At
	}
	if s.At.IsZero() && reject == nil {
		reject = errNoDate.about("")
	}
	s.Group = b.options.groupOf(s.BirthYear, birthDate.column, &reject)
	n.at("id").taken = true
	judgeNode(&item, n, s, reject, map[string]*node{
		"district": home.at("district"), "name": name, "birth_year": n.at("birthDate"), "sex": n.at("gender"),
		"mobile": phone, "photo_id": n.at("identifier"),
	})
	return item
}

// judgeNode holds a submission to its form, and names what of a record it leaves
// out. Columns are where the record has what a native submission calls so.
func judgeNode(item *Item, n *node, s domain.Submission, reject *domain.Rejection, columns map[string]*node) {
	if twice, found := n.twice(); found && reject == nil {
		reject = twiceThere(twice)
	}
	item.judge(s, reject, func(field string) string {
		if column := columns[field]; column != nil {
			return column.path()
		}
		return ""
	})
	item.Dropped = n.untaken()
}

func cellOf(n *node) cell { return cell{column: n.path(), text: n.text()} }

// officialName returns the name to register: the official one, else the usual
// one, else the first that is not out of use.
func officialName(patient *node) *node {
	names := patient.at("name").each()
	for _, use := range []string{"official", "usual", ""} {
		for _, n := range names {
			if n.at("use").peek() == use {
				return n
			}
		}
	}
	for _, n := range names {
		if use := n.at("use").peek(); use != "old" && use != "maiden" && use != "anonymous" {
			return n
		}
	}
	return patient.at("name").first()
}

func nameText(name *node) string {
	name.at("use").taken = true
	if text := name.at("text"); text.is() {
		name.at("given").taken, name.at("family").taken = true, true // the same again, in parts
		return text.text()
	}
	var parts []string
	for _, given := range name.at("given").each() {
		parts = append(parts, given.text())
	}
	return strings.Join(append(parts, name.at("family").text()), " ")
}

// phoneOf returns the first telecom that is a mobile number or, where none is,
// the first that is a phone.
func phoneOf(patient *node) *node {
	var first *node
	for _, t := range patient.at("telecom").each() {
		switch t.at("system").peek() {
		case "phone", "sms", "":
		default:
			continue
		}
		if _, wrong := readMobile(t.at("value").peek()); wrong == nil {
			return t
		}
		if first == nil {
			first = t
		}
	}
	if first == nil {
		return &node{name: "telecom"}
	}
	return first
}

func mobileOf(phone *node, reject **domain.Rejection) string {
	number := cellOf(phone.at("value"))
	if number.isEmpty() {
		if *reject == nil {
			*reject = errNoPhone.about(phone.path())
		}
		return ""
	}
	phone.at("system").taken, phone.at("use").taken = true, true
	return read(&number, reject, readMobile)
}

// photoIDOf reads the first identifier that is a photo ID.
func photoIDOf(patient *node, reject **domain.Rejection) domain.PhotoID {
	identifiers := patient.at("identifier")
	for _, i := range identifiers.each() {
		if kind, ok := photoIDKind(i); ok && !isBeneficiary(i) {
			number := cellOf(i.at("value"))
			i.taken = true
			return read(&number, reject, func(number string) (domain.PhotoID, *reason) { return readPhotoID(kind, number) })
		}
	}
	if *reject == nil {
		*reject = errNoPhotoID.about(identifiers.path())
	}
	return domain.PhotoID{}
}
