package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
)

// Purged is the outcome of a purge.
type Purged struct {
	Rows    int64 // people of the order, whose details are not in the view any more
	Residue int64 // files in which bytes of them are still found
}

// Purge removes the bytes of a freeze's cohorts from every file of the view. It
// runs beside the fold, can be called again, and after a crash resumes by being
// called again. It takes as long as rewriting the files that overlap the
// cohorts, and waits for readers that hold such files open until ctx ends.
//
// Errors: [ErrUnknownFreeze] before the order is folded; [ErrPinned].
func (p *People) Purge(ctx context.Context, freeze domain.UUID) (outcome Purged, err error) {
	defer p.looks.away()()
	if err := p.removeUnusable(); err != nil {
		return Purged{}, err
	}
	err = p.eachBeside(func(r *peopleRows) error {
		// One that has only begun is told the orders before it folds anything.
		if outcome, err = r.purge(ctx, freeze); errors.Is(err, ErrUnknownFreeze) {
			return nil
		}
		return err
	})
	if err != nil {
		return Purged{}, err
	}
	rows := p.reading()
	defer rows.readers.RUnlock()
	return rows.purge(ctx, freeze)
}

// purge removes what freezes have left, all at once, and returns the outcome of
// the last.
func (p *peopleRows) purge(ctx context.Context, freezes ...domain.UUID) (Purged, error) {
	var spans, within []pebble.KeyRange
	var needles [][]byte
	var last frozen
	todo := map[domain.UUID]frozen{}
	p.mu.Lock()
	for _, id := range freezes {
		var ok bool
		if last, ok = p.freezes[id]; !ok {
			p.mu.Unlock()
			return Purged{}, fmt.Errorf("purge the view %s: %w", p.view, ErrUnknownFreeze)
		}
		if last.purged && last.residue == 0 {
			continue
		}
		todo[id] = last
		needles = append(needles, last.samples...)
		for _, c := range last.cohorts {
			from, to := detailsSpan(c)
			spans = append(spans, pebble.KeyRange{Start: from, End: to})
			for i := range canaries {
				needles = append(needles, canary(c, i))
			}
		}
		for _, c := range last.within {
			from, to := detailsSpan(c)
			within = append(within, pebble.KeyRange{Start: from, End: to})
		}
	}
	p.mu.Unlock()
	if len(todo) == 0 {
		return Purged{Rows: last.rows}, nil
	}
	if err := p.purgeSpans(ctx, spans, within); err != nil {
		return Purged{}, err
	}
	found, err := search(p.fs, p.dir, needles)
	if err != nil {
		return Purged{}, err
	}
	residue := int64(len(found))
	batch := p.NewBatch()
	defer batch.Close()
	for id, f := range todo {
		if f.purged, f.residue = true, residue; residue == 0 {
			f.samples = nil
		}
		todo[id] = f
		_ = batch.Set(frozenKey(id), f.encode(), nil)
	}
	if err := p.apply(batch); err != nil {
		return Purged{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, f := range todo {
		p.freezes[id] = f
	}
	return Purged{Rows: last.rows, Residue: residue}, nil
}

// sample returns some of what a freeze is about to remove, for the search
// afterwards: the ends of a few rows of the cohort.
func (p *peopleRows) sample(c domain.Cohort) (samples [][]byte, err error) {
	from, to := detailsSpan(c)
	rows, err := p.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, readError(p.view, err)
	}
	defer func() { err = closing(rows, err) }()
	for i := range canaries { // the first person behind each canary
		at := detailsKey(nil, c, domain.PersonToken{byte(i * 256 / canaries), 1})
		if rows.SeekGE(at) {
			if end := sealedEnd(rows.Value()); end != nil {
				samples = append(samples, end)
			}
		}
	}
	return samples, rows.Error()
}

// sealedEnd returns a copy of the end of a history's sealed registration, nil
// when there is none.
func sealedEnd(history []byte) []byte {
	r := recordReader{b: history}
	for r.next() && r.kind == recordWrapped { // of a registration that was withdrawn
		r.bytes()
	}
	if r.bad || r.kind != recordRegistered {
		return nil
	}
	sealed := r.registered().Sealed
	if len(sealed) < sampleSize {
		return nil
	}
	return bytes.Clone(sealed[len(sealed)-sampleSize:])
}

// purgeSpans removes the bytes of spans whose rows are deleted, or deletes them,
// and within others the bytes of rows that are deleted.
//
// A range tombstone alone leaves everything in the tables below. So: flush it,
// compact the span, which rewrites every table that overlaps it, roll the
// MANIFEST, which holds the bounds of tables, out of its last copy, and wait
// until the tables that were replaced are gone from the directory.
func (db *database) purgeSpans(ctx context.Context, spans, within []pebble.KeyRange) error {
	for _, s := range spans {
		if err := db.DeleteRange(s.Start, s.End, pebble.NoSync); err != nil {
			return fmt.Errorf("purge the view %s: %w", db.view, err)
		}
	}
	return db.rewriteSpans(ctx, append(spans, within...))
}

func (db *database) rewriteSpans(ctx context.Context, spans []pebble.KeyRange) error {
	if err := db.flush(ctx); err != nil {
		return err
	}
	for _, s := range spans {
		if err := db.Compact(ctx, s.Start, s.End, false); err != nil {
			return fmt.Errorf("purge the view %s: %w", db.view, err)
		}
	}
	db.lookup.forget()
	for i := range 2 { // Pebble keeps one MANIFEST besides the current one
		if err := db.Set([]byte{keyCheckpoint, 'm'}, []byte{byte(i)}, pebble.NoSync); err != nil {
			return fmt.Errorf("purge the view %s: %w", db.view, err)
		}
		if err := db.flush(ctx); err != nil {
			return err
		}
	}
	return db.awaitRemoval(ctx)
}

// awaitRemoval waits until every table that is on disk now and not in use is
// gone. Tables made meanwhile hold nothing of the span.
func (db *database) awaitRemoval(ctx context.Context) error {
	waiting, err := db.tablesOnDisk()
	if err != nil {
		return err
	}
	for {
		db.lookup.forget()
		live, err := db.SSTables()
		if err != nil {
			return readError(db.view, err)
		}
		for _, level := range live {
			for _, t := range level {
				delete(waiting, fmt.Sprintf("%06d.sst", t.FileNum))
				delete(waiting, fmt.Sprintf("%06d.sst", t.BackingSSTNum))
			}
		}
		if err := db.removeUndeleted(); err != nil {
			return err
		}
		here, err := db.tablesOnDisk()
		if err != nil {
			return err
		}
		for name := range waiting {
			if !here[name] {
				delete(waiting, name)
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("purge the view %s: %d tables: %w (%w)", db.view, len(waiting), ErrPinned, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// removeUndeleted tries again to remove what Pebble could not.
func (db *database) removeUndeleted() error {
	db.undeleted.Lock()
	defer db.undeleted.Unlock()
	for len(db.undeleted.paths) > 0 {
		if err := db.fs.Remove(db.undeleted.paths[0]); err != nil && !absentFile(err) {
			return fmt.Errorf("purge the view %s: %w", db.view, err)
		}
		db.undeleted.paths = db.undeleted.paths[1:]
	}
	return nil
}

func (db *database) tablesOnDisk() (map[string]bool, error) {
	names, err := db.fs.List(db.dir)
	if err != nil {
		return nil, fmt.Errorf("list the view %s: %w", db.view, err)
	}
	tables := map[string]bool{}
	for _, name := range names {
		if name = filepath.Base(name); strings.HasSuffix(name, ".sst") {
			tables[name] = true
		}
	}
	return tables, nil
}

// search returns the files of a directory that hold any of the needles. It reads
// every file once, whatever the number of canaries among the needles.
func search(disk vfs.FS, dir string, needles [][]byte) (found []string, err error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", dir, err)
	}
	for _, name := range names {
		holds, err := searchFile(disk, disk.PathJoin(dir, name), needles)
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", name, err)
		}
		if holds {
			found = append(found, name)
		}
	}
	return found, nil
}

func searchFile(disk vfs.FS, path string, needles [][]byte) (holds bool, err error) {
	f, err := disk.Open(path, vfs.SequentialReadsOption)
	if absentFile(err) {
		return false, nil // removed since it was listed
	}
	if err != nil {
		return false, err
	}
	defer func() { err = closing(f, err) }()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return false, err
	}
	marked := map[string]bool{}
	var plain [][]byte
	longest := 0
	for _, n := range needles {
		longest = max(longest, len(n))
		if bytes.HasPrefix(n, canaryMark[:]) {
			marked[string(n)] = true
		} else {
			plain = append(plain, n)
		}
	}
	const chunk = 1 << 20
	buffer := make([]byte, 0, chunk+longest)
	for {
		n, err := f.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if n > 0 && (len(buffer) == cap(buffer) || err != nil) || err != nil {
			if containsAny(buffer, plain, marked) {
				return true, nil
			}
			// What crosses the end of this piece is found with the next.
			keep := min(len(buffer), longest)
			buffer = append(buffer[:0], buffer[len(buffer)-keep:]...)
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

func containsAny(b []byte, plain [][]byte, marked map[string]bool) bool {
	for _, n := range plain {
		if bytes.Contains(b, n) {
			return true
		}
	}
	for {
		i := bytes.Index(b, canaryMark[:])
		if i < 0 {
			return false
		}
		b = b[i:]
		if size := len(canaryMark) + 24; len(b) >= size && marked[string(b[:size])] {
			return true
		}
		b = b[1:]
	}
}
