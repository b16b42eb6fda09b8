package projections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// Verification is the outcome of comparing a view with the ledger.
type Verification struct {
	View       string     `json:"view"`
	Through    uint64     `json:"through"` // the ledger sequence at which it was compared
	Mismatches []Mismatch `json:"mismatches"`
}

// maxMismatches bounds what a verification lists.
const maxMismatches = 100

// Verify recomputes a view from the whole ledger and compares: the counts cell by
// cell with a plain sum over the events, the tree hash by hash, the others with a
// generation folded beside, part by part. It reads every row, so it finds damaged
// tables too.
func (r *Runner) Verify(ctx context.Context, name string, tell func(Progress)) (Verification, error) {
	v, err := r.view(name)
	if err != nil {
		return Verification{}, err
	}
	return v.verify(ctx, r.ledger, tell)
}

// digester sums up rows.
type digester struct {
	hash.Hash
	size [8]byte
}

func newDigester() *digester { return &digester{Hash: sha256.New()} }

func (d *digester) row(key, value []byte) {
	for _, b := range [][]byte{key, value} {
		binary.BigEndian.PutUint64(d.size[:], uint64(len(b)))
		d.Write(d.size[:])
		d.Write(b)
	}
}

func (d *digester) sum() (sum [32]byte) {
	d.Sum(sum[:0])
	return sum
}

// digestParts sums up the rows of each kind. Keep, when not nil, says what a row
// means, nil for nothing.
func digestParts(ctx context.Context, view string, from pebble.Reader, parts map[byte]string, keep func(key, value []byte) []byte) (map[string][32]byte, error) {
	sums := map[string][32]byte{}
	n := 0
	for kind, part := range parts {
		d := newDigester()
		err := scan(view, from, []byte{kind}, func(key, value []byte) error {
			if n++; n%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if keep != nil {
				if value = keep(key, value); value == nil {
					return nil
				}
			}
			d.row(key, value)
			return nil
		})
		if err != nil {
			return nil, err
		}
		sums[part] = d.sum()
	}
	return sums, nil
}

func (p *peopleRows) digest(ctx context.Context, from pebble.Reader) (map[string][32]byte, error) {
	return digestParts(ctx, p.view, from, map[byte]string{
		keyDetails: "details", keyHome: "homes", keySize: "sizes", keyBorn: "cohorts closed from birth",
	}, nil)
}

// digest leaves out what a freeze has made meaningless and a purge not removed
// yet.
func (r *registerRows) digest(ctx context.Context, from pebble.Reader) (map[string][32]byte, error) {
	forgotten := map[domain.Cohort]bool{}
	err := scan(r.view, from, []byte{keyCohort}, func(key, value []byte) error {
		c, s, ok := decodeCohort(key, value)
		if !ok {
			return &ViewError{View: r.view, Err: ErrCorrupt}
		}
		forgotten[c] = s.forgotten
		return nil
	})
	if err != nil {
		return nil, err
	}
	parts := map[byte]string{
		keySubmission: "submissions", keyPerson: "people", keyMobile: "mobiles", keyPhotoID: "photo IDs", keyTokens: "tokens",
		keyCohort: "cohorts", keyRequest: "requests", keyPending: "pending reversals", keyOrder: "orders", keyParked: "waiting registrations",
	}
	return digestParts(ctx, r.view, from, parts, func(key, value []byte) []byte {
		switch {
		case key[0] == keyMobile:
			if value = remembered(value, forgotten); len(value) == 0 {
				return nil
			}
		case key[0] == keyPhotoID && len(value) == cohortSize && forgotten[cohortAt(value)]:
			return nil
		case isCanary(value):
			return nil // the last person withdrawn may have taken them along
		case value == nil:
			return []byte{}
		}
		return value
	})
}

// remembered returns what a mobile's row means, in one form: an operand for every
// cohort that is not forgotten and has people on the number, in order of cohorts.
func remembered(operands []byte, forgotten map[domain.Cohort]bool) []byte {
	if len(operands) == mobileOperand { // most rows
		if forgotten[cohortAt(operands)] {
			return nil
		}
		return operands
	}
	people := map[domain.Cohort]int8{}
	for ; len(operands) >= mobileOperand; operands = operands[mobileOperand:] {
		people[cohortAt(operands)] += int8(operands[cohortSize])
	}
	var kept [][]byte
	for c, n := range people {
		if n != 0 && !forgotten[c] {
			kept = append(kept, append(appendCohort(nil, c), byte(n)))
		}
	}
	slices.SortFunc(kept, bytes.Compare)
	return bytes.Join(kept, nil)
}

// digest sums up cells that are not zero.
func (c *countsRows) digest(ctx context.Context, from pebble.Reader) (map[string][32]byte, error) {
	parts := map[byte]string{keyCell: "cells", keyClosure: "closures", keyDay: "days"}
	return digestParts(ctx, c.view, from, parts, func(key, value []byte) []byte {
		if v := (recordReader{b: value}); key[0] == keyCell && v.varint() == 0 {
			return nil
		}
		return value
	})
}

// recompute compares every cell with a plain sum over the events of the ledger.
func (c *countsRows) recompute(ctx context.Context, from Ledger, at *pebble.Snapshot, through uint64, m *meter) (found []Mismatch, err error) {
	t := newTally()
	m.step(StepChecking, 0, through)
	err = foldThrough(ctx, from, 0, through, func(ctx context.Context, commits ...eventstore.Commit) error {
		for _, commit := range commits {
			t.add(commit)
		}
		return ctx.Err()
	}, m.folded)
	if err != nil {
		return nil, err
	}
	differ := func(format string, args ...any) {
		if len(found) < maxMismatches {
			found = append(found, Mismatch{View: c.view, What: fmt.Sprintf(format, args...)})
		}
	}
	cells := t.sums()
	err = scan(c.view, at, []byte{keyCell}, func(key, value []byte) error {
		cell, _ := datedAt(key)
		sum := (&recordReader{b: value}).varint()
		if want := cells[cell]; want != sum {
			differ("%s: %d in the view, %d by the ledger", cell, sum, want)
		}
		delete(cells, cell)
		return nil
	})
	if err == nil {
		for cell, want := range cells {
			if want != 0 {
				differ("%s: not in the view, %d by the ledger", cell, want)
			}
		}
		var closed map[domain.Cohort]closure
		if closed, err = closures(c.view, at); err == nil {
			for cohort, since := range t.closed {
				if closed[cohort] != since {
					differ("the closing of cohort %s differs from the ledger", cohort)
				}
			}
			if len(closed) != len(t.closed) {
				differ("%d cohorts are closed in the view, %d by the ledger", len(closed), len(t.closed))
			}
		}
	}
	if damaged := (*ViewError)(nil); errors.As(err, &damaged) {
		differ("%v", damaged)
		err = nil
	}
	return found, err
}

var measureNames = [...]string{
	domain.CountRegistered: "registered", domain.CountUnvaccinated: "unvaccinated", domain.CountPartial: "partial",
	domain.CountFull: "full", domain.CountPendingReversals: "pending_reversals", domain.CountDose1: "dose1",
	domain.CountDose2: "dose2", domain.CountDose3: "dose3", domain.CountPrecaution: "precaution",
}

func (c dated) String() string {
	name := ""
	if int(c.Measure) < len(measureNames) {
		name = measureNames[c.Measure]
	}
	return fmt.Sprintf("district %d, %s, %s/%d, %s, %s, of %s recorded %s",
		c.District, name, c.Group, c.Generation, c.Sex, c.Vaccine, c.Day, c.recorded)
}
