package notices

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"bahi/domain"
)

// ContentType is the media type of a notice, and its header Content-Type.
const ContentType = "application/cloudevents+json"

// Event is a notice as it travels: a CloudEvent 1.0 in the structured JSON mode.
// Fields may be added to Data; a change of what one means would be another type.
type Event struct {
	SpecVersion     string `json:"specversion" doc:"1.0: the version of CloudEvents"`
	ID              string `json:"id" doc:"names the notice among those of its source, for good: whatever comes twice has the same"`
	Source          string `json:"source" doc:"the ledger's name for itself, as in its checkpoints and receipts"`
	Type            string `json:"type" doc:"in.bahi. and the kind"`
	Subject         string `json:"subject" doc:"what it is about: freezes/<id>, reversals/<id of the request> or districts/<code>"`
	Time            string `json:"time" doc:"when the ledger recorded it: of a freeze to the second, of everything else the first moment of the day in Indian Standard Time"`
	DataContentType string `json:"datacontenttype" doc:"application/json"`
	Data            any    `json:"data" doc:"by the type"`
}

// FreezeAnnounced is the data of a notice that the details of a district, of some of
// its groups or of listed persons become unreadable for good.
type FreezeAnnounced struct {
	District domain.District   `json:"district" doc:"code in the Local Government Directory"`
	Day      domain.Day        `json:"day" doc:"of the order"`
	Freeze   domain.UUID       `json:"freeze" doc:"id of the order, by which its receipt is asked for"`
	Groups   []domain.Group    `json:"groups,omitempty" doc:"whose details; left out when the order lists persons"`
	Standing bool              `json:"standing" doc:"whether it holds for those who are registered later, too"`
	Mode     domain.FreezeMode `json:"mode" doc:"whether the national authority can still open the details"`
	Order    string            `json:"order" doc:"number of the written order"`
	People   int64             `json:"people" doc:"how many it froze"`
}

// CertificateVoid is the data of a notice that a dose was withdrawn or reversed, and
// that no certificate for it holds any more. Whose it was is not told: who keeps
// certificates asks the ledger about those of the district, dose and vaccine.
type CertificateVoid struct {
	District domain.District `json:"district" doc:"where the dose was given"`
	Day      domain.Day      `json:"day" doc:"of the withdrawal, or of the decision"`
	Dose     string          `json:"dose" doc:"which one of the series: 1, 2, 3 or precaution"`
	Vaccine  domain.Vaccine  `json:"vaccine"`
	Request  domain.UUID     `json:"request,omitzero" doc:"id of the reversal's request; left out of a withdrawal"`
}

// ReversalRequested is the data of a notice that somebody asked for a lower status.
type ReversalRequested struct {
	District domain.District `json:"district" doc:"the person's home"`
	Day      domain.Day      `json:"day" doc:"of the request"`
	Request  domain.UUID     `json:"request" doc:"id of the request, which whoever asked has kept"`
	From     domain.Status   `json:"from"`
	To       domain.Status   `json:"to"`
	DueFrom  domain.Day      `json:"due_from" doc:"first day on which it may be approved"`
}

// ReversalDue is the data of a notice that a request may be approved from now on.
type ReversalDue struct {
	District  domain.District `json:"district" doc:"the person's home"`
	Request   domain.UUID     `json:"request" doc:"id of the request"`
	From      domain.Status   `json:"from"`
	To        domain.Status   `json:"to"`
	Requested domain.Day      `json:"requested" doc:"when the request was recorded"`
	DueFrom   domain.Day      `json:"due_from" doc:"first day on which it may be approved"`
}

// ReversalDecided is the data of a notice that a request was approved or rejected.
type ReversalDecided struct {
	District domain.District `json:"district" doc:"the person's home"`
	Day      domain.Day      `json:"day" doc:"of the decision"`
	Request  domain.UUID     `json:"request" doc:"id of the request"`
	Approved bool            `json:"approved"`
	From     domain.Status   `json:"from" doc:"status before the decision"`
	To       domain.Status   `json:"to" doc:"status after it"`
}

// CountsChanged is the data of a notice that the counts of a district are not what
// they were. It has no numbers: a difference of one is somebody.
type CountsChanged struct {
	District domain.District `json:"district"`
	From     domain.Day      `json:"from" doc:"first day on which something happened that was not counted before, or is not any more; counts as of this day and of every later one changed"`
	To       domain.Day      `json:"to" doc:"last such day"`
	Counts   string          `json:"counts" doc:"path of the counts in the HTTP API"`
}

// Kinds are the kinds of notice.
var Kinds = []domain.NoticeKind{
	domain.NoticeFreezeAnnounced, domain.NoticeCertificateVoid, domain.NoticeReversalRequested,
	domain.NoticeReversalDue, domain.NoticeReversalDecided, domain.NoticeCountsChanged,
}

// Subject returns the subject of a district's notices of a kind.
func Subject(district domain.District, kind domain.NoticeKind) string {
	return fmt.Sprintf("notice.%d.%s", district, kind)
}

// Type returns the CloudEvents type of a kind, such as in.bahi.freeze.announced.
func Type(kind domain.NoticeKind) string {
	return "in.bahi." + strings.Replace(string(kind), "_", ".", 1)
}

// event makes the CloudEvent of a notice that was recorded at a time, without its
// source.
//
// To the millisecond the time of recording would pick one person's event out of a
// day's, for whoever saw them at the desk. An order of a freeze is nobody's in
// particular.
func event(n domain.Notice, id string, recorded time.Time) Event {
	at := domain.DayOf(recorded).Start()
	if n.Kind == domain.NoticeFreezeAnnounced {
		at = recorded.In(domain.IndianStandardTime)
	}
	e := Event{
		SpecVersion: "1.0", ID: id, Type: Type(n.Kind), Time: at.Format(time.RFC3339),
		DataContentType: "application/json", Subject: fmt.Sprintf("districts/%d", n.District),
	}
	switch n.Kind {
	case domain.NoticeFreezeAnnounced:
		e.Subject = "freezes/" + n.Freeze.String()
		e.Data = FreezeAnnounced{n.District, n.Day, n.Freeze, n.Groups, n.Standing, n.Mode, n.Order, n.People}
	case domain.NoticeCertificateVoid:
		e.Data = CertificateVoid{n.District, n.Day, n.Dose.String(), n.Vaccine, n.Request}
	case domain.NoticeReversalRequested:
		e.Subject = "reversals/" + n.Request.String()
		e.Data = ReversalRequested{n.District, n.Day, n.Request, n.From, n.To, n.DueFrom}
	case domain.NoticeReversalDue:
		e.Subject = "reversals/" + n.Request.String()
		e.Data = ReversalDue{n.District, n.Request, n.From, n.To, n.Day, n.DueFrom}
	case domain.NoticeReversalDecided:
		e.Subject = "reversals/" + n.Request.String()
		e.Data = ReversalDecided{n.District, n.Day, n.Request, n.Approved, n.From, n.To}
	}
	return e
}

// changed makes the CloudEvent of a change of counts.
func changed(d domain.District, days span, id string, recorded time.Time) Event {
	e := event(domain.Notice{Kind: domain.NoticeCountsChanged, District: d}, id, recorded)
	e.Data = CountsChanged{d, days.from, days.to, fmt.Sprintf("/v1/districts/%d/counts", d)}
	return e
}

func (e Event) encode() []byte {
	b, err := json.Marshal(e)
	if err != nil { // of these types, none
		panic(fmt.Sprintf("notices: a notice cannot be written as JSON: %v", err))
	}
	return b
}
