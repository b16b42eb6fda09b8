package web

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
)

type submissionsInput struct {
	Format   string `query:"format" enum:"ndjson,csv,divoc,fhir,cowin" doc:"Format of the body, where its Content-Type does not say it"`
	District string `query:"district" doc:"LGD code of the district for records that name none; by default that of the token" example:"208"`
	Centre   string `query:"centre" doc:"Code of the centre for records that name none; by default that of the token" example:"208001"`
	Group    string `query:"group" doc:"Priority group of everybody in the body, for records that name none; by default that of the age" example:"HCW"`
	At       string `query:"at" doc:"The day, or the time, of registrations that say none; by default now" example:"2021-03-01"`
}

// sent says how the body of a request is to be read.
type sent struct {
	options  formats.Options // of foreign formats; its format is 0 when the content tells
	latin    bool            // in Windows-1252, which ISO 8859-1 is read as
	deflated bool            // gzip
}

// mediaTypes are what a body may call itself. A body of one of these that is not
// named more closely is found out by its content, and what curl sends when nothing
// is said is NDJSON.
var mediaTypes = map[string]formats.Format{
	"":                                  formats.NDJSON,
	ndjsonType:                          formats.NDJSON,
	"application/ndjson":                formats.NDJSON,
	"application/jsonl":                 formats.NDJSON,
	"application/x-www-form-urlencoded": formats.NDJSON,
	"text/csv":                          formats.CSV,
	"application/csv":                   formats.CSV,
	"application/fhir+json":             formats.FHIR,
	"application/json":                  0,
	"application/octet-stream":          0,
	"text/plain":                        0,
}

func (in *submissionsInput) sent(r *http.Request, who access.Principal) (how sent, err error) {
	how.options = formats.Options{District: who.District, Centre: who.Centre, At: time.Now()}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return how, newProblem(http.StatusUnsupportedMediaType, codeMediaType, "the Content-Type cannot be understood")
	}
	known := false
	if how.options.Format, known = mediaTypes[kind]; !known && in.Format == "" {
		return how, newProblem(http.StatusUnsupportedMediaType, codeMediaType, "a body is application/x-ndjson, text/csv, application/fhir+json or application/json; or name its format with the parameter format")
	}
	if in.Format != "" {
		how.options.Format, err = formats.ParseFormat(in.Format)
		if err != nil {
			return how, wrong("format", err)
		}
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii", "utf-16", "utf-16le", "utf-16be": // the reader tells them apart
	case "iso-8859-1", "latin1", "windows-1252":
		how.latin = true
	default:
		return how, newProblem(http.StatusUnsupportedMediaType, codeMediaType, "this charset is not read; send UTF-8")
	}
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		how.deflated = true
	default:
		return how, newProblem(http.StatusUnsupportedMediaType, codeEncoding, "send the body as it is, or compressed with gzip")
	}
	return how, in.defaults(&how.options)
}

// defaults reads what stands in for what records do not say.
func (in *submissionsInput) defaults(o *formats.Options) (err error) {
	if in.District != "" {
		if o.District, err = domain.ParseDistrict(in.District); err != nil {
			return wrong("district", err)
		}
	}
	if in.Centre != "" {
		if err := domain.CheckCentre(in.Centre); err != nil {
			return wrong("centre", err)
		}
		o.Centre = in.Centre
	}
	if in.Group != "" {
		if o.Group, err = domain.ParseGroup(in.Group); err != nil {
			return wrong("group", err)
		}
	}
	if in.At != "" {
		if o.At, err = domain.ParseTime(in.At); err != nil {
			return wrong("at", err)
		}
	}
	return nil
}

// items reads the body. Lines of NDJSON without an id are given one by the attempt,
// if there is any.
func (how sent) items(body io.Reader, a *attempt) iter.Seq2[formats.Item, error] {
	if how.deflated {
		body = &inflated{from: counted{Reader: body}}
	}
	if how.latin {
		body = transform.NewReader(body, charmap.Windows1252.NewDecoder())
	}
	if how.options.Format == formats.NDJSON {
		if a == nil {
			return formats.ReadNDJSON(body)
		}
		return formats.ReadNDJSONNaming(body, a.id)
	}
	items, err := formats.Read(body, how.options)
	if err != nil {
		return func(yield func(formats.Item, error) bool) { yield(formats.Item{}, err) }
	}
	return items
}

// inflated reads gzip, as long as it does not grow beyond what submissions do: a
// few bytes that become a billion are not submissions.
type inflated struct {
	from counted
	gzip *gzip.Reader
	grew int64
}

const (
	mostGrowth = 200     // times; lines of registrations shrink to a tenth
	freeGrowth = 1 << 20 // bytes
)

var errGrown = errors.New("the compressed body grows too much")

// Read opens the gzip when it is first read, not before: its sender may take time.
func (i *inflated) Read(p []byte) (int, error) {
	if i.gzip == nil {
		z, err := gzip.NewReader(&i.from)
		if err != nil {
			return 0, fmt.Errorf("open the compressed body: %w", err)
		}
		i.gzip = z
	}
	n, err := i.gzip.Read(p)
	if i.grew += int64(n); i.grew > freeGrowth+mostGrowth*i.from.n {
		return 0, errGrown
	}
	return n, err
}

type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}
