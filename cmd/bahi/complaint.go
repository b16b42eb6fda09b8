package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
	"bahi/web"
)

// report tells a person what went wrong, in one sentence and with a hint where
// there is one, and returns the exit code.
func (p *program) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	says, hint := p.complaint(err)
	if ctx.Err() != nil && !errors.As(err, new(exit)) {
		says, hint = "stopped by a signal", "every verdict that was printed stands; what has none is to be submitted again, nothing is stored twice"
	}
	if says != "" {
		fmt.Fprintf(p.stderr, "bahi: error: %s\n", says)
	}
	if hint != "" {
		fmt.Fprintf(p.stderr, "bahi: hint: %s\n", hint)
	}
	return codeOf(err)
}

func codeOf(err error) int {
	var asked exit
	var rejected *domain.Rejection
	switch {
	case errors.As(err, &asked):
		return asked.code
	case errors.Is(err, ledger.ErrFrozen):
		return exitFrozen
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, access.ErrNotFound):
		return exitNotFound
	case errors.Is(err, access.ErrBadGrant), errors.Is(err, access.ErrBadCentre), errors.Is(err, ledger.ErrBadRequest), errors.Is(err, projections.ErrTooManyRows):
		return exitUsage
	case errors.As(err, &rejected):
		return exitRejected
	case errors.As(err, new(*ledger.RewrittenError)):
		return exitMismatch
	}
	return exitFailed
}

// complaint puts an error into words. What the rooms below say of causes is for
// their callers; a person is told what is the matter and what to try.
func (p *program) complaint(err error) (says, hint string) {
	var asked exit
	var view *projections.ViewError
	var rejected *domain.Rejection
	var unreachable *web.UnreachableError
	var problem *web.Problem
	switch {
	case errors.As(err, &view):
		return fmt.Sprintf("the view %s cannot be used: %v", view.View, view.Err),
			fmt.Sprintf("the ledger has everything; fold the view anew with `bahi projections rebuild %s`", view.View)
	case errors.As(err, &unreachable):
		return "no service answers at " + unreachable.Server, "start one with `bahi serve`, or check the address"
	case errors.As(err, &problem) && !errors.Is(err, ledger.ErrUndecided) && !errors.Is(err, ledger.ErrClosed):
		return p.problem(problem)
	case errors.As(err, &rejected):
		return rejection(err, rejected)
	case errors.As(err, &asked):
		return oneLine(err), ""
	}
	return p.fault(err)
}

// rejection tells of something refused as a whole, such as the order of a freeze.
func rejection(err error, r *domain.Rejection) (says, hint string) {
	if r.Code == domain.CodeAuthorityKeyMissing {
		hint = "make a key with `bahi authority keygen` and adopt it with `bahi authority adopt`, or order the freeze with --mode erase"
	}
	if errors.Is(err, ledger.ErrBadRequest) {
		return r.Message, hint
	}
	return r.Error(), hint
}

// problem tells what a service answered.
func (p *program) problem(answer *web.Problem) (says, hint string) {
	switch answer.Code {
	case "unauthorised":
		return "the service does not know this token", "the tokens lie in the directory tokens beside the service's keys; give one with --token-file or in BAHI_TOKEN"
	case "forbidden":
		return oneLine(answer), "take the token of a role that may; docs/OPERATIONS.md has a table"
	}
	if answer.Request != "" {
		hint = "the service's log has this request as " + answer.Request
	}
	return oneLine(answer), hint
}

// fault tells of what stands in the way of a verb: files, disks, servers, keys.
func (p *program) fault(err error) (says, hint string) {
	is := func(target error) bool { return errors.Is(err, target) }
	var bundle *intake.BundleError
	var denied *intake.DeniedError
	switch {
	case is(ledger.ErrLocked), is(eventstore.ErrLocked), is(projections.ErrLocked):
		return p.data + " is in use by another bahi", "wait until it is done, or stop it; a service that is ready is spoken to by itself"
	case is(vault.ErrLocked):
		return p.keyDir() + " is in use by another bahi", "each ledger has keys of its own; give them with --keys"
	case is(ledger.ErrKeysMissing):
		return "the keys directory " + p.keyDir() + " is missing", "put it back, or say where it is with --keys; without it nobody's details can be opened"
	case is(ledger.ErrOtherKeys):
		return "the keys in " + p.keyDir() + " are another ledger's, or were made anew", "give the directory that this ledger was founded with, with --keys"
	case is(eventstore.ErrFull), is(syscall.ENOSPC):
		return "there is no space left on the disk of " + p.data, "free some, and do the same again; nothing that was acknowledged is lost, and nothing is stored twice"
	case errors.As(err, &bundle) && bundle.Code == intake.BundleOtherKey:
		return oneLine(err), "the ledger has another intake key by now, as after every freeze; ask the operator for the present one (`bahi ledger intake-key`), give it with --intake-key, and submit the same again"
	case errors.As(err, &bundle) && bundle.Code == intake.BundleLocked:
		return oneLine(err), "too much of what this centre sent named people who are not known; the authority looks into it and unlocks the centre (`bahi token unlock`), then submit what has no verdict"
	case errors.As(err, &denied):
		return oneLine(denied) + " (" + intake.CodeNotPermitted + ")", "see that --nkey, --district and --centre are of one centre, and that it is registered (`bahi centre list`); an external NATS has to be told of it, too (`bahi nats-config`)"
	case is(ledger.ErrUndecided):
		return "the ledger could not confirm what was sent last", "submit the same again: what was stored answers as a duplicate"
	case is(ledger.ErrClosed):
		return "the ledger is shutting down; nothing of what was sent last was stored", "submit the same again later"
	case is(nats.ErrAuthorization), is(nats.ErrAuthExpired):
		return "the NATS server refuses the credentials", "a centre gives the file of its nkey with --nkey, and has to be registered (`bahi centre list`); others give a file with --nats-creds"
	case is(eventstore.ErrUnreachable) && p.nats == "":
		return "the ledger's own server does not answer", "the machine may be overloaded; do the same again"
	case is(eventstore.ErrUnreachable), is(nats.ErrNoServers):
		return "no NATS server answers at " + withoutPassword(cmp.Or(p.server, p.nats)), "check that it runs, the address, and the credentials"
	case is(fs.ErrPermission):
		return oneLine(err), "check who owns the directory, or give another with --data and --keys"
	}
	return oneLine(err), ""
}

// oneLine is the error's text without line breaks, such as joined errors have.
func oneLine(err error) string {
	text := strings.TrimPrefix(err.Error(), ledger.ErrBadRequest.Error()+": ")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}

// withoutPassword returns addresses as they may be shown.
func withoutPassword(addresses string) string {
	shown := strings.Split(addresses, ",")
	for i, a := range shown {
		u, err := url.Parse(strings.TrimSpace(a))
		if err != nil {
			return "the address given"
		}
		shown[i] = u.Redacted()
	}
	return strings.Join(shown, ",")
}
