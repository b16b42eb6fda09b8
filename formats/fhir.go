package formats

import (
	"cmp"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"bahi/domain"
)

// MaxBundle is how many resources of a FHIR Bundle are read together, which may
// refer to each other: Patients, Immunizations, and the places and organisations
// that these name. A Bundle with more is refused.
const MaxBundle = 1000

// maxBundleBytes is how much text those of a Bundle may have.
const maxBundleBytes = 8 << 20

// ReadFHIR reads resources of FHIR R4, one after another or in Bundles, of which
// it takes two kinds. An Immunization is a dose, or the withdrawal of one when its
// status is entered-in-error. A Patient is a registration, of the day of the
// person's first Immunization in the Bundle, or of the options' date. What else
// stands in a Bundle is passed over, and named with its first submission.
//
// The Immunizations of a Bundle are given oldest first, a Patient before the
// first one that is about it. An Immunization without its Patient names the
// person by what it calls the Patient, for the ledger to know or not.
func ReadFHIR(r io.Reader, o Options) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		give := func(items []Item) bool {
			return !slices.ContainsFunc(items, func(i Item) bool { return !yield(i.placed(), nil) })
		}
		b := bundle{options: o}
		for rec, err := range records(r, "entry", isRecordOfFHIR) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			// A Bundle gives its items when it is closed, or when it turns out that it
			// never will be.
			if rec.list == 0 || rec.list != b.list {
				if !give(b.items()) {
					return
				}
				b = bundle{options: o, list: rec.list, place: place{line: rec.line}}
			}
			if !give(b.add(rec)) {
				return
			}
			if rec.list == 0 || rec.closes {
				if !give(b.items()) {
					return
				}
				b = bundle{options: o}
			}
		}
		give(b.items())
	}
}

func looksLikeFHIR(text string) bool { return hasMember(text, "resourceType", "resource", "entry") }

// isRecordOfFHIR tells what can follow a broken record: of a Bundle, whose
// resources have others within them, an entry.
func isRecordOfFHIR(text string, inBundle bool) bool {
	if inBundle {
		return hasMember(text, "resource")
	}
	return looksLikeFHIR(text)
}

// bundle is a Bundle on its way to submissions, or a resource alone.
type bundle struct {
	place
	options   Options
	list      int // which list of the input it is; 0 of a resource alone
	resources []*resource
	size      int      // of their text
	full      bool     // it has more than is read
	answered  bool     // there was an item
	others    []string // kinds of resources that are passed over
}

// resource is a resource that is of use.
type resource struct {
	*node
	place
	kind    string
	fullURL string // as its Bundle calls it

	patient *resource // of an Immunization, where it is there
	at      time.Time // of an Immunization; of a Patient, its first one
	who     whose     // of a Patient, by the best that it is called
	stated  bool      // of a Patient: its registration was given
}

// add takes a record into the Bundle, and answers what will be no submission.
func (b *bundle) add(rec record) []Item {
	if rec.reject != nil {
		return b.refuse(rec.place, rec.reject)
	}
	root := openRecord(rec.text)
	if rec.closes {
		b.place = rec.place
		return b.close(root)
	}
	res := &resource{node: root, place: rec.place}
	if within := root.at("resource"); within.is() {
		res.node, res.fullURL = &node{value: within.value}, root.at("fullUrl").text()
	}
	if twice, found := root.twice(); found {
		return b.refuse(rec.place, twiceThere(twice))
	}
	res.kind = res.node.at("resourceType").text()
	switch res.kind {
	case "Immunization", "Patient", "Organization", "Location":
	default:
		return b.passOver(res, root.at("request", "method").text())
	}
	b.resources = append(b.resources, res)
	b.size += len(rec.text)
	if b.full = b.full || len(b.resources) > MaxBundle || b.size > maxBundleBytes; b.full {
		return b.refuseAll(rejection(domain.CodeTooLong, "",
			"of a Bundle at most %d resources, of %d MiB together, are read; send several Bundles", MaxBundle, maxBundleBytes>>20))
	}
	return nil
}

// passOver notes what is not read, and refuses it where it would leave no trace.
func (b *bundle) passOver(res *resource, method string) []Item {
	switch {
	case method == "DELETE":
		return b.refuse(res.place, rejection(domain.CodeNotSupported, "request.method",
			"nothing is deleted; an Immunization is withdrawn by its status entered-in-error"))
	case b.list != 0 && (res.kind == "Bundle" || res.node.at("entry").is()):
		return b.refuse(res.place, rejection(domain.CodeNotSupported, "resource", "a Bundle within a Bundle is not read; send it by itself"))
	case b.list != 0:
		drop(&b.others, cmp.Or(res.kind, "entry"))
		return nil
	case res.kind == "":
		return b.refuse(res.place, rejection(domain.CodeUnknownType, "resourceType", "the record is no resource of FHIR"))
	}
	return b.refuse(res.place, rejection(domain.CodeNotSupported, "resourceType", "of resources that stand alone, Immunization and Patient are read"))
}

// close takes the members of the Bundle beside its entries.
func (b *bundle) close(root *node) []Item {
	kind := root.at("type").text()
	if twice, found := root.twice(); found {
		return append(b.refuse(b.place, twiceThere(twice)), b.refuseAll(twiceThere(twice))...)
	}
	switch kind {
	case "", "collection", "transaction", "batch", "message", "document", "searchset":
		return nil
	}
	return b.refuseAll(rejection(domain.CodeNotSupported, "type", "a Bundle of this type tells of earlier states or of answers, and is not read"))
}

func (b *bundle) refuse(at place, reject *domain.Rejection) []Item {
	b.answered = true
	item := at.item()
	item.Reject = reject
	return []Item{item}
}

// refuseAll answers what would have become submissions.
func (b *bundle) refuseAll(reject *domain.Rejection) []Item {
	var items []Item
	for _, res := range b.resources {
		if res.kind == "Immunization" || res.kind == "Patient" {
			at := res.place
			if reject.Field != "" {
				at.element = b.element
			}
			items = append(items, b.refuse(at, reject)...)
		}
	}
	b.resources = nil
	return items
}

// items makes submissions of what is in the Bundle.
func (b *bundle) items() []Item {
	var items []Item
	doses := b.doses()
	for _, dose := range doses {
		if p := dose.patient; p != nil && !p.stated {
			p.stated = true
			items = append(items, b.registration(p))
		}
		items = append(items, b.immunization(dose))
	}
	for _, p := range b.resources {
		if p.kind == "Patient" && !p.stated {
			p.who = b.whose(&node{}, p)
			items = append(items, b.registration(p))
		}
	}
	switch {
	case len(items) > 0:
		for _, kind := range b.others {
			drop(&items[0].Dropped, kind)
		}
	case b.list != 0 && !b.answered:
		return b.refuse(b.place, rejection(domain.CodeNotSupported, "entry", "the Bundle has neither an Immunization nor a Patient"))
	}
	return items
}

// doses finds for every Immunization its Patient and its time, and for every
// Patient the first of its Immunizations and the best that they call it.
func (b *bundle) doses() []*resource {
	var doses []*resource
	for _, res := range b.resources {
		if res.kind != "Immunization" {
			continue
		}
		doses = append(doses, res)
		res.at, _ = readDay(occurrence(res.node).peek()) // what is wrong with it is told later
		ref := res.node.at("patient")
		if res.patient = b.find(ref, "Patient", res); res.patient == nil {
			continue
		}
		p := res.patient
		if who := b.whose(ref, p); p.who.rank == 0 || who.rank < p.who.rank {
			p.who = who
		}
		if p.at.IsZero() || !res.at.IsZero() && res.at.Before(p.at) {
			p.at = res.at
		}
	}
	slices.SortStableFunc(doses, func(a, b *resource) int { return a.at.Compare(b.at) })
	return doses
}

// find returns the resource of a kind that a reference of another leads to, or
// nil: one that it contains, one of the Bundle by the name it has there or by its
// id, or one by an identifier.
func (b *bundle) find(ref *node, kind string, from *resource) *resource {
	name := ref.at("reference").peek()
	if id, inside := strings.CutPrefix(name, "#"); inside {
		return contained(from, kind, id)
	}
	identifier := ref.at("identifier")
	for _, res := range b.resources {
		switch {
		case res.kind != kind:
		case name != "" && name == res.fullURL, name != "" && lastTwo(name) == kind+"/"+res.node.at("id").peek():
			return res
		case name == "" && slices.ContainsFunc(res.node.at("identifier").each(), func(i *node) bool { return sameIdentifier(i, identifier) }):
			return res
		}
	}
	return nil
}

// contained makes a resource of its own of one that stands within another.
func contained(from *resource, kind, id string) *resource {
	for _, n := range from.node.at("contained").each() {
		if n.at("resourceType").peek() == kind && n.at("id").peek() == id {
			n.taken = true
			res := &resource{node: &node{value: n.value}, kind: kind, place: from.place}
			res.node.at("resourceType").taken, res.node.at("id").taken = true, true
			return res
		}
	}
	return nil
}

// lastTwo returns type and id of a literal reference: Patient/17 of
// https://example.org/fhir/Patient/17/_history/2.
func lastTwo(reference string) string {
	reference, _, _ = strings.Cut(reference, "/_history/")
	i := strings.LastIndexByte(reference, '/')
	if i < 0 {
		return reference
	}
	return reference[strings.LastIndexByte(reference[:i], '/')+1:]
}

func sameIdentifier(a, b *node) bool {
	value := a.at("value").peek()
	return value != "" && value == b.at("value").peek() && a.at("system").peek() == b.at("system").peek()
}
