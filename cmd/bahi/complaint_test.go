package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
	"bahi/web"
)

// TestComplaints: whatever goes wrong below, a person is told one sentence without
// line breaks, and the exit code is the contract's.
func TestComplaints(t *testing.T) {
	t.Parallel()
	wrapped := func(err error) error {
		return errors.Join(fmt.Errorf("deciding a bundle: append a commit after 7: %w", err), errors.New("and so on"))
	}
	p := &program{data: "d", nats: "nats://ledger:secret@10.0.0.7:4222"}
	for _, c := range []struct {
		err        error
		code       int
		says, hint string // what they contain
	}{
		{wrapped(eventstore.ErrFull), exitFailed, "no space left on the disk of d", "nothing is stored twice"},
		{wrapped(syscall.ENOSPC), exitFailed, "no space left on the disk of d", "free some"},
		{wrapped(eventstore.ErrUnreachable), exitFailed, "no NATS server answers at nats://ledger:xxxxx@10.0.0.7:4222", "the address"},
		{wrapped(ledger.ErrLocked), exitFailed, "d is in use by another bahi", "wait"},
		{wrapped(vault.ErrLocked), exitFailed, "d-keys is in use by another bahi", "--keys"},
		{wrapped(ledger.ErrOtherKeys), exitFailed, "the keys in d-keys are another ledger's", "--keys"},
		{wrapped(ledger.ErrKeysMissing), exitFailed, "the keys directory d-keys is missing", "--keys"},
		{wrapped(fs.ErrPermission), exitFailed, "permission denied", "who owns the directory"},
		{wrapped(&projections.ViewError{View: "people", Err: projections.ErrCorrupt, Cause: errors.New("pebble: block 7\n<carrier>")}), exitFailed, "the view people cannot be used: its files are damaged", "`bahi projections rebuild people`"},
		{&web.UnreachableError{Server: "http://127.0.0.1:1", Err: errors.New("dial tcp")}, exitFailed, "no service answers at http://127.0.0.1:1", "bahi serve"},
		{&web.Problem{Code: "unauthorised", Detail: "Authorization: Bearer"}, exitFailed, "does not know this token", "--token-file"},
		{&web.Problem{Code: "internal", Detail: "something went wrong here", Request: "W5S2"}, exitFailed, "something went wrong here", "W5S2"},
		{fmt.Errorf("%w (%w)", ledger.ErrUndecided, errors.New("dial tcp")), exitFailed, "could not confirm", "answers as a duplicate"},
		{&web.Problem{Code: "shutting_down", Detail: "the ledger is shutting down", Request: "W5S2"}, exitFailed, "shutting down", "later"},
		{fmt.Errorf("%w: the purpose is one of these", ledger.ErrBadRequest), exitUsage, "the purpose is one of these", ""},
		{wrapped(&intake.BundleError{Code: intake.BundleOtherKey}), exitFailed, "other_key", "ask the operator for the present one"},
		{wrapped(&intake.BundleError{Code: intake.BundleLocked}), exitFailed, "locked", "`bahi token unlock`"},
		{wrapped(&intake.DeniedError{District: 208, Centre: "208001", Subject: "intake.208.208001"}), exitFailed, "(not_permitted)", "`bahi centre list`"},
		{wrapped(&intake.BundleError{Code: intake.BundleCannotOpen}), exitFailed, "cannot_open", ""},
		{ledger.ErrFrozen, exitFrozen, "frozen", ""},
		{ledger.ErrNotFound, exitNotFound, "not found", ""},
		{projections.ErrTooManyRows, exitUsage, "more than 280,000 rows", ""},
		{&domain.Rejection{Code: domain.CodeAuthorityKeyMissing, Message: "no key"}, exitRejected, "authority_key_missing: no key", "--mode erase"},
		{usage("so %s", "not"), exitUsage, "so not", ""},
		{exit{code: exitRejected}, exitRejected, "", ""},
	} {
		says, hint := p.complaint(c.err)
		if !strings.Contains(says, c.says) || !strings.Contains(hint, c.hint) || (c.says == "") != (says == "") || codeOf(c.err) != c.code {
			t.Errorf("%v\nsays %q, hint %q, exit code %d", c.err, says, hint, codeOf(c.err))
		}
		for _, told := range []string{"\n", "secret", "pebble", "carrier", "dial tcp", "Bearer"} {
			if strings.Contains(says+hint, told) {
				t.Errorf("%v: it tells %q: %q, %q", c.err, told, says, hint)
			}
		}
	}

	ended, end := context.WithCancel(context.Background())
	end()
	var words strings.Builder
	p.stderr = &words
	if code := p.report(ended, fmt.Errorf("deciding a bundle: %w", context.Canceled)); code != exitFailed || !strings.HasPrefix(words.String(), "bahi: error: stopped by a signal\nbahi: hint: ") {
		t.Errorf("%d %s", code, words.String())
	}
}
