package formats

import (
	"io"
	"iter"

	"bahi/domain"
)

// ReadCoWIN reads bodies of the portal's calls for vaccinators: a beneficiary to
// register, a dose to record, or an object with both under register and
// vaccinate. The bodies name no district, and a registration no date: those are
// the options', or of a pair the date of the dose.
func ReadCoWIN(r io.Reader, o Options) iter.Seq2[Item, error] {
	return readRecords(r, looksLikeCoWIN, o.calls)
}

func looksLikeCoWIN(text string) bool {
	return hasMember(text, "register", "vaccinate", "beneficiary_reference_id", "photo_id_type", "gender_id", "mobile_number")
}

// calls makes items of one record.
func (o Options) calls(rec record) []Item {
	root := openRecord(rec.text)
	register, vaccinate := root.at("register"), root.at("vaccinate")
	switch {
	case register.is() || vaccinate.is():
	case root.at("vaccination_status").is():
		return []Item{rec.refused(rejection(domain.CodeNotSupported, "vaccination_status",
			"this is what the portal answers about a beneficiary; send the bodies of the calls that register and vaccinate"))}
	case root.at("dose").is() || root.at("center_id").is() || root.at("vaccine").is():
		vaccinate = root
	case root.at("name").is() || root.at("photo_id_number").is():
		register = root
	default:
		return []Item{rec.refused(rejection(domain.CodeUnknownType, "", "the record is neither a body of register nor of vaccinate"))}
	}
	var items []Item
	c := call{options: o, place: rec.place, register: register, vaccinate: vaccinate}
	c.number, c.wrongNumber = readReference(vaccinate.at("beneficiary_reference_id").text())
	if register.is() {
		items = append(items, c.registration())
	}
	if vaccinate.is() {
		items = append(items, c.dose())
	}
	if twice, found := root.twice(); found {
		return []Item{rec.refused(twiceThere(twice))}
	}
	// The registration has named what it leaves out, the dose names the rest.
	if register != root {
		register.taken = true
	}
	items[len(items)-1].Dropped = root.untaken()
	return items
}

// call is a pair of bodies, or one of them with the other empty.
type call struct {
	place
	options             Options
	register, vaccinate *node

	number      domain.Reference // beneficiary_reference_id
	wrongNumber *reason
	known       domain.UUID // the registration's id, once it is read
}

var errNoDistrict = &reason{domain.CodeMissingField, "the record names no district; name one for the whole file"}

// when reads the date of the dose, which stands where its number says.
func (c *call) when(n domain.DoseNumber) *node {
	if n == domain.Precaution {
		return c.vaccinate.at("precaution_dose_one_date")
	}
	return c.vaccinate.at("dose" + n.String() + "_date")
}

func (c *call) district(reject **domain.Rejection) domain.District {
	if c.options.District == 0 && *reject == nil {
		*reject = errNoDistrict.about("")
	}
	return c.options.District
}

// wrong refuses what is to be filed under a number that is none.
func (c *call) wrong() *domain.Rejection {
	if number := c.vaccinate.at("beneficiary_reference_id"); number.is() && c.wrongNumber != nil {
		return c.wrongNumber.about(number.path())
	}
	return nil
}

// registration makes an item of the body of register. The register calls people
// by their photo ID: the portal's own number comes only with its answer.
func (c *call) registration() Item {
	item, n, reject := c.item(), c.register, c.wrong()
	birthYear, sex, mobile := cellOf(n.at("birth_year")), cellOf(n.at("gender_id")), cellOf(n.at("mobile_number"))
	kind, number := cellOf(n.at("photo_id_type")), cellOf(n.at("photo_id_number"))
	s := domain.Registration{
		Person:    c.number,
		District:  c.district(&reject),
		Name:      n.at("name").text(),
		BirthYear: read(&birthYear, &reject, readBirthYear),
		Sex:       read(&sex, &reject, readSex),
		Mobile:    read(&mobile, &reject, readMobile),
		Restated:  true,
	}
	if kind := read(&kind, &reject, photoIDType); kind != 0 {
		s.PhotoID = read(&number, &reject, func(number string) (domain.PhotoID, *reason) { return readPhotoID(kind.String(), number) })
	}
	if s.PhotoID.Type != 0 {
		s.ID = registrationID(s.PhotoID)
		c.known = s.ID
	}
	s.Group = c.options.groupOf(s.BirthYear, birthYear.column, &reject)
	if s.At = c.options.At; c.vaccinate.is() {
		number := cellOf(c.vaccinate.at("dose"))
		date := cellOf(c.when(read(&number, &reject, readDose)))
		s.At = read(&date, &reject, readDay)
	} else if s.At.IsZero() && reject == nil {
		reject = errNoDate.about("")
	}
	judgeNode(&item, n, s, reject, map[string]*node{
		"person": c.vaccinate.at("beneficiary_reference_id"), "name": n.at("name"), "birth_year": n.at("birth_year"), "sex": n.at("gender_id"),
		"mobile": n.at("mobile_number"), "photo_id": n.at("photo_id_number"),
	})
	return item
}

// dose makes an item of the body of vaccinate.
func (c *call) dose() Item {
	item, n, reject := c.item(), c.vaccinate, c.wrong()
	number, vaccine := cellOf(n.at("dose")), cellOf(n.at("vaccine"))
	s := domain.DoseGiven{
		Person:   c.number,
		District: c.district(&reject),
		Centre:   n.at("center_id").text(),
		Vaccine:  read(&vaccine, &reject, readVaccine),
		Batch:    n.at("vaccine_batch").text(),
		Number:   read(&number, &reject, readDose),
	}
	if s.Number != 0 {
		date := cellOf(c.when(s.Number))
		s.At = read(&date, &reject, readDay)
	}
	if s.Centre == "" {
		s.Centre = c.options.Centre
	}
	if s.Person == "" {
		s.Registration = c.known
	}
	if s.Registration != (domain.UUID{}) || s.Person != "" {
		s.ID = doseID("cowin", s)
	} else if reject == nil {
		reject = errEmpty.about(n.at("beneficiary_reference_id").path())
	}
	judgeNode(&item, n, s, reject, map[string]*node{
		"person": n.at("beneficiary_reference_id"), "at": c.when(s.Number), "centre": n.at("center_id"), "vaccine": n.at("vaccine"),
		"batch": n.at("vaccine_batch"), "dose": n.at("dose"),
	})
	return item
}
