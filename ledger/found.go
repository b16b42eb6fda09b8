package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bahi/domain"
	"bahi/vault"
)

// found writes the first commit of an empty ledger, and enrols this node's
// holders of details before it holds any. Until the first submission a ledger
// directory can be opened and asked without anything being decided for it.
func (l *Ledger) found(ctx context.Context, at time.Time) error {
	if l.founded.Load() {
		return nil
	}
	l.founding.Lock()
	defer l.founding.Unlock()
	if _, ok := l.register.Founded(); !ok {
		l.sandbox.Store(l.config.Sandbox)
		if err := l.note(ctx, 0, at, domain.LedgerFounded{Origin: l.Origin(), Sandbox: l.config.Sandbox, Pepper: l.vault.PepperID()}); err != nil {
			return err
		}
		if err := l.checkFounding(); err != nil {
			return err
		}
	}
	if err := l.enrol(ctx, at); err != nil {
		return err
	}
	l.founded.Store(true)
	return nil
}

// foundFor founds an empty ledger for submissions, unless every one of them is
// refused: then it returns their verdicts. What is decided for good with the first
// commit, such as whether a ledger is a sandbox, no slip in an order decides.
func (l *Ledger) foundFor(ctx context.Context, as Caller, submissions ...domain.Submission) (refused []domain.Verdict, err error) {
	if l.founded.Load() {
		return nil, nil
	}
	if _, ok := l.register.Founded(); !ok {
		if err := l.refresh(ctx); err != nil { // another node may have founded it
			return nil, err
		}
	}
	if _, ok := l.register.Founded(); !ok {
		if refused, err = l.allRefused(as, submissions); refused != nil || err != nil {
			return refused, err
		}
	}
	return nil, l.found(ctx, submissions[0].Head().At)
}

// allRefused decides submissions as an empty ledger would. It returns nil when one
// of them would be accepted: the others may rest on it.
func (l *Ledger) allRefused(as Caller, submissions []domain.Submission) ([]domain.Verdict, error) {
	empty := l.register.Now()
	verdicts := make([]domain.Verdict, len(submissions))
	for i, s := range submissions {
		if f, ok := s.(domain.Freeze); ok && l.config.Sandbox {
			f.Mode = domain.Erase // a sandbox makes itself the authority's key
			s = f
		}
		a := l.prepare(as, s)
		err := a.refused
		if err == nil {
			known, _, fault := l.known(empty, a)
			if fault != nil {
				return nil, fault
			}
			recorded := l.now()
			if at := a.when(); l.config.Sandbox && at.Before(recorded) {
				recorded = at
			}
			_, err = domain.Decide(known, l.rules, a.submission, recorded)
		}
		if err == nil {
			return nil, nil
		}
		made, fault := refuse(domain.Verdict{ID: s.Head().ID.String(), Person: domain.PersonOf(s)}, err)
		if fault != nil {
			return nil, fault
		}
		verdicts[i] = made.verdict
	}
	return verdicts, nil
}

// Origin is the ledger's name for itself, in checkpoints, receipts and tokens of
// access. Before it is founded it is the name that this node would give it.
func (l *Ledger) Origin() string {
	if origin := l.origin(); origin != "" {
		return origin
	}
	return "bahi/" + l.node
}

// enrol tells the ledger that this node holds details and keys to them, so that
// every freeze waits for its acknowledgement.
func (l *Ledger) enrol(ctx context.Context, at time.Time) error {
	var missing []domain.Event
	enrolled := l.register.Holders()
	holders := l.holders()
	for _, h := range l.above {
		holders = append(holders, h.Name)
	}
	for _, holder := range holders {
		if !slices.Contains(enrolled, holder) {
			missing = append(missing, domain.HolderEnrolled{Holder: holder})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return l.note(ctx, 0, at, missing...)
}

// checkFounding takes over what the ledger was founded as, and refuses keys that
// are another ledger's: under another pepper everybody would be a stranger.
func (l *Ledger) checkFounding() error {
	founded, ok := l.register.Founded()
	if !ok {
		l.sandbox.Store(l.config.Sandbox)
		return nil
	}
	if founded.Pepper != l.vault.PepperID() {
		return ErrOtherKeys
	}
	if l.config.Sandbox && !founded.Sandbox {
		return ErrSandbox
	}
	l.sandbox.Store(founded.Sandbox)
	return nil
}

// Sandbox tells whether recorded times follow the submissions'.
func (l *Ledger) Sandbox() bool {
	founded, ok := l.register.Founded()
	return ok && founded.Sandbox || !ok && l.config.Sandbox
}

// AdoptAuthorityKey makes handovers go to this key from now on. The caller has
// checked that its owner can open a challenge (vault.NewChallenge).
func (l *Ledger) AdoptAuthorityKey(ctx context.Context, public vault.AuthorityPublicKey, at time.Time) error {
	if err := l.found(ctx, at); err != nil {
		return err
	}
	return l.adopt(ctx, public, at)
}

func (l *Ledger) adopt(ctx context.Context, public vault.AuthorityPublicKey, at time.Time) error {
	return l.note(ctx, 0, at, domain.AuthorityKeyAdopted{Key: public.ID(), Public: public.Bytes()})
}

// lock takes the data directory for this process.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return f, nil
}

// unlock lets go of the directory at once, whatever process that is just being
// started has a copy of the file.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// nodeName returns the random name of this node, made at first use. It names
// the holders of details that a freeze waits for.
func nodeName(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the node's name: %w", err)
	}
	var id [4]byte
	rand.Read(id[:])
	name := hex.EncodeToString(id[:])
	if err := replaceFile(path, []byte(name)); err != nil {
		return "", fmt.Errorf("write the node's name: %w", err)
	}
	return name, nil
}
