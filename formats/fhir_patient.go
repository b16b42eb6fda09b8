package formats

import (
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
	errNobody    = &reason{domain.CodeMissingField, "whose dose this is cannot be told: neither a Patient is there, nor a reference or identifier with a system"}
	errNoPhotoID = &reason{domain.CodeMissingField, "the Patient has no identifier that is known for a photo ID; give its type, such as PPN, DL or ADN, or the name of the document as the type's text"}
	errNoPhone   = &reason{domain.CodeMissingField, "the Patient has no phone among its telecom"}
)

// whose names the person of a reference to a Patient, which may be there. What
// comes first is best:
//
//  1. an identifier that is a reference number of this ledger,
//  2. an identifier that the reference itself carries,
//  3. where the reference leads: an address, or type and id on the centre's server,
//  4. an identifier of the Patient, a photo ID before others,
//  5. a name that holds within its Bundle, by which the Patient may be found later.
//
// The next Immunization of the person has to name the same, so a Patient alone is
// named by its id, as references to it will do.
func (b *bundle) whose(ref *node, p *resource) whose {
	own := ref.at("identifier")
	var identifiers []*node
	patient := &node{}
	if p != nil {
		patient = p.node
		identifiers = patient.at("identifier").each()
	}
	for _, i := range append([]*node{own}, identifiers...) {
		if !isBeneficiary(i) {
			continue
		}
		person, wrong := readReference(i.at("value").text())
		if wrong != nil {
			return whose{rank: 1, reject: wrong.about(i.at("value").path())}
		}
		i.taken = true
		return whose{rank: 1, person: person, registration: ForeignID("fhir", "registration", "beneficiary", string(person))}
	}
	named := func(rank int, parts ...string) whose {
		return whose{rank: rank, registration: ForeignID("fhir", "registration", parts...)}
	}
	if parts, ok := identifierParts(own); ok {
		own.taken = true
		return named(2, parts...)
	}
	name := ref.at("reference").text()
	name, _, _ = strings.Cut(name, "/_history/")
	if name == "" && !own.is() && patient.at("id").is() {
		name = "Patient/" + patient.at("id").text()
	}
	local := strings.HasPrefix(name, "#") || strings.HasPrefix(name, "urn:")
	if name != "" && !local {
		return named(3, b.address(name)...)
	}
	for _, photoIDs := range []bool{true, false} {
		for _, i := range identifiers {
			if parts, ok := identifierParts(i); ok && (parts[0] == "photo ID") == photoIDs {
				i.taken = true
				return named(4, parts...)
			}
		}
	}
	switch {
	case strings.HasPrefix(name, "urn:"):
		return named(5, "reference", name)
	case patient.at("id").is() && !strings.HasPrefix(name, "#"):
		return named(5, b.address("Patient/"+patient.at("id").text())...)
	}
	return whose{reject: errNobody.about(ref.path())}
}

// address makes parts of a literal reference. A relative one counts on the
// server of a centre only: other servers have other patients of that id.
func (b *bundle) address(reference string) []string {
	if strings.Contains(reference, "://") {
		return []string{"reference", reference}
	}
	return []string{"reference", strconv.Itoa(int(b.options.District)), b.options.Centre, reference}
}

// identifierParts makes parts of an identifier that tells people apart: a photo
// ID, whatever system it is said to be of, or one with a system.
func identifierParts(i *node) ([]string, bool) {
	if kind, ok := photoIDKind(i); ok {
		if id, wrong := readPhotoID(kind, i.at("value").peek()); wrong == nil {
			return []string{"photo ID", id.Type.String(), id.Number}, true
		}
		return nil, false
	}
	system, value := i.at("system").peek(), i.at("value").peek()
	return []string{"identifier", system, value}, system != "" && value != ""
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
	item := Item{Line: p.line, Foreign: true}
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
