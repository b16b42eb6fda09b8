package formats

import (
	"strconv"
	"time"
	"unicode/utf8"

	"bahi/domain"
)

// AppendSubmission appends s as one native JSON object, without a line ending.
// What [ReadNDJSON] makes of it is s again, times being compared as instants.
func AppendSubmission(b []byte, s domain.Submission) []byte {
	o := object{b: b}
	head := func(kind string, h domain.Heading) {
		o.text("type", kind)
		o.text("id", h.ID.String())
		o.key("at")
		o.b = append(o.b, '"')
		if at := h.At.In(domain.IndianStandardTime); at.Equal(h.Day().Start()) {
			o.b = at.AppendFormat(o.b, time.DateOnly)
		} else {
			o.b = at.AppendFormat(o.b, time.RFC3339Nano)
		}
		o.b = append(o.b, '"')
	}
	switch s := s.(type) {
	case domain.Registration:
		head("registration", s.Heading)
		o.optional("person", string(s.Person))
		o.number("district", uint64(s.District))
		o.text("group", s.Group.String())
		o.text("name", s.Name)
		o.number("birth_year", uint64(s.BirthYear))
		o.text("sex", s.Sex.String())
		o.text("mobile", s.Mobile)
		o.key("photo_id")
		photo := object{b: o.b}
		photo.text("type", s.PhotoID.Type.String())
		photo.text("number", s.PhotoID.Number)
		o.b = photo.end()
		if s.Restated {
			o.flag("restated", true)
		}
	case domain.DoseGiven:
		head("dose", s.Heading)
		o.who(s.Person, s.Registration)
		o.number("district", uint64(s.District))
		o.text("centre", s.Centre)
		o.text("vaccine", s.Vaccine.String())
		o.text("batch", s.Batch)
		o.dose(s.Number)
	case domain.RegistrationWithdrawal:
		head("registration_withdrawal", s.Heading)
		o.who(s.Person, s.Registration)
		o.text("reason", s.Reason.String())
	case domain.DoseWithdrawal:
		head("dose_withdrawal", s.Heading)
		o.who(s.Person, s.Registration)
		o.dose(s.Number)
		o.text("reason", s.Reason.String())
		if s.Given != 0 {
			o.text("given", s.Given.String())
		}
		if s.Vaccine != 0 {
			o.text("vaccine", s.Vaccine.String())
		}
	case domain.ReversalRequest:
		head("reversal_request", s.Heading)
		o.who(s.Person, s.Registration)
		o.text("to", s.To.String())
		o.text("reason", s.Reason.String())
	case domain.ReversalDecision:
		head("reversal_decision", s.Heading)
		o.text("request", s.Request.String())
		o.text("decision", decision(s.Approve))
		o.text("by", s.By)
	case domain.Freeze:
		head("freeze", s.Heading)
		o.number("district", uint64(s.District))
		if len(s.Groups) > 0 {
			o.key("groups")
			for i, g := range s.Groups {
				o.b = append(o.b, "[,"[min(i, 1)])
				o.b = appendString(o.b, g.String())
			}
			o.b = append(o.b, ']')
		}
		if len(s.Persons) > 0 {
			o.key("persons")
			for i, r := range s.Persons {
				o.b = append(o.b, "[,"[min(i, 1)])
				o.b = appendString(o.b, string(r))
			}
			o.b = append(o.b, ']')
		}
		o.flag("standing", s.Standing)
		o.text("mode", s.Mode.String())
		o.text("order", s.Order)
		o.text("by", s.By)
	}
	return o.end()
}

func decision(approve bool) string {
	if approve {
		return "approve"
	}
	return "reject"
}

// AppendVerdict appends v as one JSON object, without a line ending. It is named
// by its id, by its line, or by both: see [Item.Verdict].
func AppendVerdict(b []byte, v domain.Verdict) []byte {
	o := object{b: b}
	o.optional("id", v.ID)
	if v.Line > 0 {
		o.number("line", uint64(v.Line))
	}
	o.text("verdict", v.Outcome.String())
	o.optional("person", string(v.Person))
	if v.Commit != 0 {
		o.number("commit", v.Commit)
	}
	if r := v.Reject; r != nil {
		o.text("code", string(r.Code))
		o.optional("field", r.Field)
		o.optional("message", r.Message)
	}
	if len(v.Dropped) > 0 {
		o.key("dropped")
		for i, name := range v.Dropped {
			o.b = append(o.b, "[,"[min(i, 1)])
			o.b = appendString(o.b, name)
		}
		o.b = append(o.b, ']')
	}
	return o.end()
}

// object writes the members of one JSON object.
type object struct {
	b     []byte
	begun bool
}

func (o *object) key(name string) {
	if o.begun {
		o.b = append(o.b, ',')
	} else {
		o.b = append(o.b, '{')
		o.begun = true
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) text(name, s string) {
	o.key(name)
	o.b = appendString(o.b, s)
}

func (o *object) optional(name, s string) {
	if s != "" {
		o.text(name, s)
	}
}

func (o *object) number(name string, n uint64) {
	o.key(name)
	o.b = strconv.AppendUint(o.b, n, 10)
}

func (o *object) flag(name string, b bool) {
	o.key(name)
	o.b = strconv.AppendBool(o.b, b)
}

// who writes the one of the two by which a submission names its person.
func (o *object) who(person domain.Reference, registration domain.UUID) {
	if registration != (domain.UUID{}) {
		o.text("registration", registration.String())
		return
	}
	o.text("person", string(person))
}

func (o *object) dose(n domain.DoseNumber) {
	if n == domain.Precaution {
		o.text("dose", n.String())
		return
	}
	o.number("dose", uint64(n))
}

func (o *object) end() []byte {
	if !o.begun {
		o.b = append(o.b, '{')
	}
	return append(o.b, '}')
}

// appendString appends s in double quotes. What is not UTF-8 becomes U+FFFD, as
// encoding/json has it.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < ' ':
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b = utf8.AppendRune(b, r)
		i += size
	}
	return append(b, '"')
}
