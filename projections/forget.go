package projections

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
)

// forgetChunk is how many mobile rows are looked through at a time.
const forgetChunk = 4096

// Purge removes the mobile tokens and content digests of a freeze's cohorts from
// every file of the register, once the ledger keeps their photo IDs as sets
// without persons. What was frozen answers nothing from the fold of
// [domain.PhotoIDsComplete] on; this ends the bytes. It runs beside the
// committer, can be called again, and costs a pass over all mobile rows: a second
// for a million. Rows are people.
//
// Errors: [ErrUnknownFreeze] before the register has folded that the photo IDs
// are complete; [ErrPinned].
//
// A generation that is being built and has not come so far goes on from the
// beginning: it may have folded tokens that the ledger had not ended then.
func (r *Register) Purge(ctx context.Context, freeze domain.UUID) (Purged, error) {
	defer r.looks.away()()
	if err := r.removeUnusable(); err != nil {
		return Purged{}, err
	}
	err := r.eachBeside(func(rows *registerRows) error {
		_, err := rows.purge(ctx, unlocked{}, freeze)
		return err
	})
	if err != nil {
		return Purged{}, err
	}
	rows := r.reading()
	defer rows.readers.RUnlock()
	return rows.purge(ctx, &r.folding, freeze)
}

// purge removes what freezes have left, all at once, and returns the outcome of
// the last.
func (r *registerRows) purge(ctx context.Context, folding locker, freezes ...domain.UUID) (p Purged, err error) {
	spans := []pebble.KeyRange{{Start: []byte{keyMobile}, End: []byte{keyMobile + 1}}}
	var needles [][]byte
	marks := r.NewBatch()
	defer marks.Close()
	for _, id := range freezes {
		state, ok := r.freeze(id)
		if !ok {
			return p, fmt.Errorf("purge the view %s: %w", r.view, ErrUnknownFreeze)
		}
		p = Purged{}
		for _, c := range state.Order.Cohorts {
			p.Rows += c.People
		}
		done, err := r.get(forgottenKey(id))
		if err != nil {
			return p, err
		}
		if done != nil {
			continue
		}
		_ = marks.Set(forgottenKey(id), []byte{1}, nil)
		for _, c := range state.Order.Cohorts {
			from := appendCohort([]byte{keyTokens}, c.Cohort)
			spans = append(spans, pebble.KeyRange{Start: from, End: prefixEnd(from)})
			for i := range canaries {
				needles = append(needles, canary(c.Cohort, i))
			}
		}
		for _, c := range state.Order.Rekeyed { // where listed persons' tokens were before
			from := appendCohort([]byte{keyTokens}, c.Cohort)
			spans = append(spans, pebble.KeyRange{Start: from, End: prefixEnd(from)})
		}
	}
	if marks.Empty() {
		return p, nil
	}
	if err := r.forgetMobiles(ctx, folding); err != nil {
		return p, err
	}
	r.memory.below.release() // before the files go: a pass over the rows would hold them
	if err := r.rewriteSpans(ctx, spans); err != nil {
		return p, err
	}
	found, err := search(r.fs, r.dir, needles)
	if err != nil {
		return p, err
	}
	if p.Residue = int64(len(found)); p.Residue > 0 {
		return p, nil
	}
	return p, r.apply(marks)
}

// locker keeps the fold away while rows are read and written back. A generation
// that nobody folds needs none.
type locker interface {
	Lock()
	Unlock()
}

func forgottenKey(freeze domain.UUID) []byte { return append([]byte{keyForgotten}, freeze[:]...) }

// freeze returns a freeze whose photo IDs are complete.
func (r *registerRows) freeze(id domain.UUID) (FreezeState, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.orders.freezes {
		if f.Order.Freeze == id && f.PhotoIDsComplete {
			return f, true
		}
	}
	return FreezeState{}, false
}

// forgetMobiles strikes out of the mobiles' rows what forgotten cohorts added, and
// what withdrawals have cancelled: the number of somebody who is gone.
func (r *registerRows) forgetMobiles(ctx context.Context, folding locker) error {
	forgotten := map[domain.Cohort]bool{}
	r.mu.RLock()
	for c, s := range r.cohorts {
		forgotten[c] = s.forgotten
	}
	r.mu.RUnlock()

	for from := []byte{keyMobile}; from != nil; {
		if err := ctx.Err(); err != nil {
			return err
		}
		stale, next, err := r.staleMobiles(from, forgotten)
		if err != nil {
			return err
		}
		if err := r.strike(stale, forgotten, folding); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// staleMobiles returns the keys of the next rows with something to strike, and
// where to go on, nil at the end.
func (r *registerRows) staleMobiles(from []byte, forgotten map[domain.Cohort]bool) (stale [][]byte, next []byte, err error) {
	if err := r.drain(); err != nil {
		return nil, nil, err
	}
	rows, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{keyMobile + 1}})
	if err != nil {
		return nil, nil, readError(r.view, err)
	}
	defer func() { err = closing(rows, err) }()
	n := 0
	for rows.First(); rows.Valid(); rows.Next() {
		if n++; n > forgetChunk {
			return stale, bytes.Clone(rows.Key()), nil
		}
		value, err := rows.ValueAndErr()
		if err != nil {
			return nil, nil, readError(r.view, err)
		}
		if len(remembered(value, forgotten)) < len(value) {
			stale = append(stale, bytes.Clone(rows.Key()))
		}
	}
	return stale, nil, rows.Error()
}

func (r *registerRows) strike(keys [][]byte, forgotten map[domain.Cohort]bool, folding locker) error {
	if len(keys) == 0 {
		return nil
	}
	folding.Lock()
	defer folding.Unlock()
	batch := r.NewBatch()
	defer batch.Close()
	for _, key := range keys {
		value, err := r.get(key)
		if err != nil {
			return err
		}
		if value = remembered(value, forgotten); len(value) == 0 {
			_ = batch.Delete(key, nil)
		} else {
			_ = batch.Set(key, value, nil)
		}
	}
	return r.apply(batch)
}

// settle carries out in a new generation what the old one had carried out.
func (r *registerRows) settle(ctx context.Context, folding locker) error {
	r.mu.RLock()
	var complete []domain.UUID
	for _, f := range r.orders.freezes {
		if f.PhotoIDsComplete {
			complete = append(complete, f.Order.Freeze)
		}
	}
	r.mu.RUnlock()
	_, err := r.purge(ctx, folding, complete...)
	return err
}

func (p *peopleRows) settle(ctx context.Context, _ locker) error {
	p.mu.Lock()
	freezes := slices.Collect(maps.Keys(p.freezes))
	p.mu.Unlock()
	_, err := p.purge(ctx, freezes...)
	return err
}

func (c *countsRows) settle(context.Context, locker) error { return nil }
