package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// Problem is an error as it crosses the wire: problem details (RFC 9457) with a
// stable code. It holds no personal data. On the client's side it is the error
// that a call returns, and errors.Is finds the ledger's own error in it, such as
// [ledger.ErrFrozen].
//
// About a frozen person, and once any freeze holds about an unknown one, a
// problem has its code and no other member.
type Problem struct {
	Title   string `json:"title,omitempty" doc:"What the status says, in words"`
	Status  int    `json:"status,omitempty" doc:"HTTP status"`
	Code    string `json:"code" doc:"Stable name of the problem" example:"bad_request"`
	Field   string `json:"field,omitempty" doc:"The field or parameter to look at"`
	Detail  string `json:"detail,omitempty" doc:"A sentence that says what to do"`
	Request string `json:"request,omitempty" doc:"The request's id, which the service's log has too"`

	NotReady []Unready `json:"not_ready,omitempty" doc:"Of readiness: the parts that are not ready"`

	wait int // seconds after which to ask again
}

// The codes of problems that are about the request, not the ledger.
const (
	codeBadRequest    = "bad_request"
	codeUnauthorised  = "unauthorised"
	codeForbidden     = "forbidden"
	codeOtherDistrict = "other_district"
	codeOtherOfficer  = "other_officer"
	codeTooMany       = "too_many_requests"
	codeNoSuchRoute   = "no_such_route"
	codeMethod        = "method_not_allowed"
	codeTooLarge      = "too_large"
	codeEncoding      = "unsupported_encoding"
	codeMediaType     = "unsupported_media_type"
	codeTwoLengths    = "two_lengths"
	codeTooSlow       = "too_slow"
	codeTimeout       = "timeout"
	codeKeyInUse      = "idempotency_key_in_use"
	codeKeyReused     = "idempotency_key_reused"
	codeKeySpent      = "idempotency_key_spent"
	codeBusy          = "busy"
	codeStopping      = "shutting_down"
	codeAwaited       = "holders_awaited"
	codeInternal      = "internal"
	codeUnusableView  = "view_unusable"
	codeNotReady      = "not_ready"
)

// statusRejected is the status of every [domain.Rejection], and of nothing else
// but a reused key.
const statusRejected = http.StatusUnprocessableEntity

// statusReused is that of a key under which something else was sent.
const statusReused = http.StatusUnprocessableEntity

// condition is an error of the rooms below that has a code on the wire.
type condition struct {
	code   string
	status int
	err    error
}

// conditions are read in both directions: the server finds the code of an error,
// the client the error of a code.
var conditions = []condition{
	{"frozen", http.StatusUnavailableForLegalReasons, ledger.ErrFrozen},
	{"unknown_view", http.StatusNotFound, projections.ErrUnknownView},
	{"not_found", http.StatusNotFound, ledger.ErrNotFound},
	{"too_many_reads", http.StatusTooManyRequests, ledger.ErrTooManyReads},
	{codeBadRequest, http.StatusBadRequest, ledger.ErrBadRequest},
	{"too_many_rows", http.StatusBadRequest, projections.ErrTooManyRows},
	{"storage_full", http.StatusInsufficientStorage, eventstore.ErrFull},
	{"undecided", http.StatusServiceUnavailable, ledger.ErrUndecided},
	{codeStopping, http.StatusServiceUnavailable, ledger.ErrClosed},
	{codeStopping, http.StatusServiceUnavailable, eventstore.ErrClosed},
	{"store_unreachable", http.StatusServiceUnavailable, eventstore.ErrUnreachable},
	{"key_missing", http.StatusInternalServerError, vault.ErrKeyMissing},
	{"view_rebuilding", http.StatusServiceUnavailable, projections.ErrFolding},
	{"view_behind", http.StatusServiceUnavailable, projections.ErrBehind},
	{"no_rebuild", http.StatusNotFound, projections.ErrNoRebuild},
	{"rebuild_busy", http.StatusConflict, projections.ErrRebuilding},
	{"rebuild_stopped", http.StatusConflict, projections.ErrStopped},
	{"rebuild_space", http.StatusInsufficientStorage, projections.ErrSpace},
	{"rebuild_uncertain", http.StatusInternalServerError, projections.ErrUncertain},
	{codeUnusableView, http.StatusInternalServerError, projections.ErrCorrupt},
	{codeUnusableView, http.StatusInternalServerError, projections.ErrVersion},
	{codeUnusableView, http.StatusInternalServerError, projections.ErrOtherLedger},
	{codeUnauthorised, http.StatusUnauthorized, access.ErrUnknownToken},
	{"token_expired", http.StatusUnauthorized, access.ErrExpired},
	{"token_revoked", http.StatusUnauthorized, access.ErrRevoked},
	{"token_locked", http.StatusForbidden, access.ErrLocked},
	{"not_from_here", http.StatusForbidden, access.ErrNotHere},
	{codeForbidden, http.StatusForbidden, access.ErrForbidden},
	{"bad_grant", http.StatusBadRequest, access.ErrBadGrant},
	{"bad_centre", http.StatusBadRequest, access.ErrBadCentre},
	{"no_such_entry", http.StatusNotFound, access.ErrNotFound},
	{"too_many_entries", http.StatusConflict, access.ErrTooMany},
	{"access_unknown", http.StatusServiceUnavailable, access.ErrUnavailable},
}

// spoken are those whose text tells the caller more than the condition's own.
var spoken = []error{access.ErrForbidden, access.ErrBadGrant, access.ErrBadCentre, access.ErrNotFound, access.ErrTooMany, projections.ErrFolding, projections.ErrStopped}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// problemOf finds what an error is on the wire. Its text is passed on only where
// it was made for whoever asks; known is false for an error that has no code,
// whose text is for the log.
func problemOf(err error) (p *Problem, known bool) {
	var rejection *domain.Rejection
	var unusable *projections.ViewError
	var awaited *ledger.AwaitedError
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &awaited):
		return newProblem(http.StatusConflict, codeAwaited, awaited.Error()), true
	case errors.Is(err, ledger.ErrFrozen):
		return &Problem{Code: "frozen"}, true
	case errors.Is(err, ledger.ErrBadRequest):
		p = newProblem(http.StatusBadRequest, codeBadRequest, strings.TrimPrefix(err.Error(), ledger.ErrBadRequest.Error()+": "))
		if errors.As(err, &rejection) {
			p.Field, p.Detail = rejection.Field, rejection.Message
		}
		return p, true
	case errors.As(err, &rejection):
		p = newProblem(statusRejected, string(rejection.Code), rejection.Message)
		p.Field = rejection.Field
		return p, true
	case errors.As(err, &unusable):
		// Not its cause, which is Pebble's and long.
		bare := projections.ViewError{View: unusable.View, Err: unusable.Err}
		return newProblem(http.StatusInternalServerError, codeUnusableView, bare.Error()), true
	case errors.Is(err, eventstore.ErrUnknownOutcome): // of a reading, or of who may come in
		err = ledger.ErrUndecided
	}
	for _, c := range conditions {
		if !errors.Is(err, c.err) {
			continue
		}
		says := c.err.Error()
		if slices.Contains(spoken, c.err) {
			says = err.Error()
		}
		return newProblem(c.status, c.code, says), true
	}
	return internalProblem(), false
}

// tooMany tells a caller when to ask again.
func tooMany(wait time.Duration) *Problem {
	p := newProblem(http.StatusTooManyRequests, codeTooMany, "this token asks too often; the header Retry-After says when to ask again")
	p.wait = max(1, int(math.Ceil(wait.Seconds())))
	return p
}

func internalProblem() *Problem {
	return newProblem(http.StatusInternalServerError, codeInternal, "something went wrong here; the service's log tells what, under the request's id")
}

// signed returns the problem with the request's id, by which the log is
// searched. A frozen person's stays as bare as it is.
func (p *Problem) signed(request string) *Problem {
	if p.Status == 0 {
		return p
	}
	named := *p
	named.Request = request
	return &named
}

// Error returns the detail, or what the code stands for.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	if err := p.Unwrap(); err != nil {
		return err.Error()
	}
	return p.Code
}

// Unwrap returns the ledger's own error for the code, or nil.
func (p *Problem) Unwrap() error {
	for _, c := range conditions {
		if c.code == p.Code {
			return c.err
		}
	}
	return nil
}

// asError is the error that the ledger itself would have returned, where there is
// one type for it.
func (p *Problem) asError() error {
	if p.Status == statusRejected && p.Code != codeKeyReused {
		return &domain.Rejection{Code: domain.Code(p.Code), Field: p.Field, Message: p.Detail}
	}
	return p
}

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int {
	if p.Status != 0 {
		return p.Status
	}
	for _, c := range conditions {
		if c.code == p.Code {
			return c.status
		}
	}
	return http.StatusInternalServerError
}

// ContentType makes the framework send a problem as what it is.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// write answers with the problem. Nothing may have been written before.
func (p *Problem) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", problemType)
	switch {
	case p.GetStatus() == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="bahi"`)
	case p.wait > 0:
		header.Set("Retry-After", strconv.Itoa(p.wait))
		header.Set("RateLimit", fmt.Sprintf(`"token";r=0;t=%d`, p.wait))
	case p.Code == codeBusy, p.Code == codeKeyInUse:
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(p.GetStatus())
	_ = json.NewEncoder(w).Encode(p) // whoever asked may be gone
}

func init() {
	// The framework makes errors of its own for what it cannot parse. They quote
	// what they could not parse, which may be anybody's number: keep where and
	// why, and leave out what.
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return frameworkProblem(status, message, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		return frameworkProblem(status, message, errs).signed(exchangeOf(ctx.Context()).id)
	}
	huma.DefaultArrayNullable = false
}

func frameworkProblem(status int, message string, errs []error) *Problem {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return newProblem(status, codeTooLarge, "the body is longer than this route takes")
	case http.StatusRequestTimeout:
		return newProblem(status, codeTooSlow, "the body came too slowly; send it again")
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
	case http.StatusInternalServerError:
		if message == unreadBody {
			return newProblem(http.StatusBadRequest, codeBadRequest, "the body broke off, or is not chunked as it says; send it again")
		}
		return internalProblem()
	default:
		return internalProblem()
	}
	p := newProblem(http.StatusBadRequest, codeBadRequest, message)
	for _, err := range errs {
		var detailer huma.ErrorDetailer
		if !errors.As(err, &detailer) {
			continue
		}
		detail := detailer.ErrorDetail()
		if detail.Message == unknownParameter {
			p.Detail = "the route has no such query parameter; /openapi.json lists those it has"
			break
		}
		_, p.Field, _ = strings.Cut(detail.Location, ".")
		p.Detail = detail.Message
		break
	}
	return p
}

// unreadBody is the framework's word for a body that it could not read to its end.
const unreadBody = "cannot read request body"

// unknownParameter is the framework's word for a query parameter that a route
// does not have. Its name is the sender's and is not repeated.
const unknownParameter = "unknown query parameter"
