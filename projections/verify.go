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
// cell with a plain sum over the events, the others with a generation folded
// beside, part by part. It reads every row, so it finds damaged tables too.
func (r *Runner) Verify(ctx context.Context, name string, progress func(done, total uint64)) (Verification, error) {
	v, err := r.view(name)
	if err != nil {
		return Verification{}, err
	}
	return v.verify(ctx, r.ledger, progress)
}

func (g *generations[T, R]) verify(ctx context.Context, from Ledger, progress func(done, total uint64)) (Verification, error) {
	for {
		v, again, err := g.compare(ctx, from, progress)
		if err != nil || !again {
			return v, err
		}
	}
}

// compare compares the live generation with one folded beside. A freeze that
// lands meanwhile closes cohorts in the latter before their time; then again is
// true.
func (g *generations[T, R]) compare(ctx context.Context, from Ledger, progress func(done, total uint64)) (v Verification, again bool, err error) {
	next, number, err := g.begin()
	if err != nil {
		return v, false, err
	}
	defer func() { err = errors.Join(err, g.abandon(next, number)) }()

	v = Verification{View: g.name, Mismatches: []Mismatch{}}
	live, through, err := g.digestLive()
	if damaged := (*ViewError)(nil); errors.As(err, &damaged) {
		v.Mismatches = append(v.Mismatches, Mismatch{View: g.name, What: damaged.Error()})
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	v.Through = through
	if err := g.foretell(ctx, from, next, through); err != nil {
		return v, false, err
	}
	if err := g.foldInto(ctx, from, next, through, progress); err != nil {
		return v, false, err
	}
	if err := next.base().drain(); err != nil {
		return v, false, err
	}
	folded, err := next.digest(next.base().DB)
	if err != nil {
		return v, false, err
	}
	g.folding.Lock()
	again = g.disturbed
	g.folding.Unlock()
	for part, sum := range folded {
		if live[part] != sum {
			v.Mismatches = append(v.Mismatches, Mismatch{View: g.name, What: part + " differ from what the ledger says"})
		}
	}
	return v, again, nil
}

// digestLive sums up the live generation as of one sequence.
func (g *generations[T, R]) digestLive() (map[string][32]byte, uint64, error) {
	g.folding.Lock()
	r := g.reading()
	defer r.base().readers.RUnlock()
	through := r.base().last.sequence
	if err := r.base().drain(); err != nil {
		g.folding.Unlock()
		return nil, 0, err
	}
	snapshot := r.base().NewSnapshot()
	g.disturbed = false
	g.folding.Unlock()
	defer snapshot.Close()
	sums, err := r.digest(snapshot)
	return sums, through, err
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
func digestParts(view string, from pebble.Reader, parts map[byte]string, keep func(key, value []byte) []byte) (map[string][32]byte, error) {
	sums := map[string][32]byte{}
	for kind, part := range parts {
		d := newDigester()
		err := scan(view, from, []byte{kind}, func(key, value []byte) error {
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

func (p *peopleRows) digest(from pebble.Reader) (map[string][32]byte, error) {
	return digestParts(p.view, from, map[byte]string{
		keyDetails: "details", keyHome: "homes", keySize: "sizes", keyBorn: "cohorts closed from birth",
	}, nil)
}

// digest leaves out what a freeze has made meaningless and a purge not removed
// yet.
func (r *registerRows) digest(from pebble.Reader) (map[string][32]byte, error) {
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
	return digestParts(r.view, from, parts, func(key, value []byte) []byte {
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
func (c *countsRows) digest(from pebble.Reader) (map[string][32]byte, error) {
	parts := map[byte]string{keyCell: "cells", keyClosure: "closures", keyDay: "days"}
	return digestParts(c.view, from, parts, func(key, value []byte) []byte {
		if v := (recordReader{b: value}); key[0] == keyCell && v.varint() == 0 {
			return nil
		}
		return value
	})
}

// verify compares every cell with a plain sum over the events of the ledger.
func (c *Counts) verify(ctx context.Context, from Ledger, progress func(done, total uint64)) (Verification, error) {
	c.folding.Lock()
	rows := c.reading()
	defer rows.readers.RUnlock()
	snapshot, through := rows.NewSnapshot(), rows.last.sequence
	c.folding.Unlock()
	defer snapshot.Close()

	v := Verification{View: c.name, Through: through, Mismatches: []Mismatch{}}
	t := newTally()
	err := foldThrough(ctx, from, 0, through, func(ctx context.Context, commits ...eventstore.Commit) error {
		for _, commit := range commits {
			t.add(commit)
		}
		return ctx.Err()
	}, progress)
	if err != nil {
		return v, err
	}
	differ := func(format string, args ...any) {
		if len(v.Mismatches) < maxMismatches {
			v.Mismatches = append(v.Mismatches, Mismatch{View: c.name, What: fmt.Sprintf(format, args...)})
		}
	}
	err = scan(rows.view, snapshot, []byte{keyCell}, func(key, value []byte) error {
		cell, _ := datedAt(key)
		sum := (&recordReader{b: value}).varint()
		if want := t.cells[cell]; want != sum {
			differ("%s: %d in the view, %d by the ledger", cell, sum, want)
		}
		delete(t.cells, cell)
		return nil
	})
	if err == nil {
		for cell, want := range t.cells {
			if want != 0 {
				differ("%s: not in the view, %d by the ledger", cell, want)
			}
		}
		var closed map[domain.Cohort]closure
		if closed, err = closures(rows.view, snapshot); err == nil {
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
	return v, err
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
