package ledger

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/projections"
)

// watchedDisk is the disk with somebody who looks at every byte that is written,
// also of files that are gone a moment later.
type watchedDisk struct {
	vfs.FS
	longest int

	mu      sync.Mutex
	needles map[string][][]byte // by kind
	seen    map[string]int
	written int64
}

func watch(traces []trace) *watchedDisk {
	w := &watchedDisk{FS: vfs.Default, needles: map[string][][]byte{}, seen: map[string]int{}}
	for _, x := range traces {
		w.needles[x.kind] = append(w.needles[x.kind], []byte(x.bytes))
		w.longest = max(w.longest, len(x.bytes))
	}
	return w
}

func (w *watchedDisk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &watchedFile{File: f, disk: w}, nil
}

func (w *watchedDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.file(w.FS.Create(name, category))
}

func (w *watchedDisk) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.file(w.FS.ReuseForWrite(old, name, category))
}

func (w *watchedDisk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	return w.file(w.FS.OpenReadWrite(name, category, options...))
}

// watchedFile remembers the end of what was written, for what comes in two pieces.
type watchedFile struct {
	vfs.File
	disk *watchedDisk
	last []byte
}

func (f *watchedFile) Write(p []byte) (int, error) {
	f.last = f.disk.look(append(f.last, p...), len(p))
	return f.File.Write(p)
}

func (f *watchedFile) WriteAt(p []byte, at int64) (int, error) {
	f.disk.look(p, len(p))
	return f.File.WriteAt(p, at)
}

func (w *watchedDisk) look(b []byte, fresh int) (rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written += int64(fresh)
	for kind, needles := range w.needles {
		for _, n := range needles {
			if bytes.Contains(b, n) {
				w.seen[kind]++
			}
		}
	}
	return bytes.Clone(b[max(0, len(b)-w.longest):])
}

// A rebuild after a freeze never writes anything of frozen people that the freeze
// had ended, not even into a file that is removed a moment later. The same watch
// sees it in a rebuild before the freeze, so it can see.
func TestRebuildNeverMaterialisesFrozenDetails(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 600, 20)
	var ended []trace
	for _, x := range tracesOf(t, d.l, d.doomed...) {
		switch x.kind {
		case sealedRegistration, sealedDose, mobileToken, contentDigest:
			ended = append(ended, x)
		}
	}
	rebuild := func() (seen map[string]int, written int64) {
		t.Helper()
		disk := watch(ended)
		dir := t.TempDir()
		// A memtable so small that much is flushed on the way.
		options := projections.Options{FS: disk, MemTableBytes: 64 << 10}
		people, err := projections.OpenPeople(filepath.Join(dir, "people"), options)
		if err != nil {
			t.Fatal(err)
		}
		defer people.Close()
		register, err := projections.OpenRegister(filepath.Join(dir, "register"), d.l.vault, options)
		if err != nil {
			t.Fatal(err)
		}
		defer register.Close()
		runner := projections.NewRunner(d.l.store)
		runner.Attend(people, register)
		for _, view := range []projections.View{people, register} {
			if err := projections.CatchUp(t.Context(), d.l.store, view, nil); err != nil { // folded anew
				t.Fatal(err)
			}
			if _, err := runner.Rebuild(t.Context(), view.Name(), projections.RebuildOptions{}, nil); err != nil { // and beside the live one
				t.Fatal(err)
			}
		}
		if _, err := people.Person(d.l.vault.PersonToken(d.neighbours[0].Person)); err != nil {
			t.Errorf("the rebuilt view does not have the neighbours: %v", err)
		}
		return disk.seen, disk.written
	}
	before, bytesBefore := rebuild()
	for _, kind := range []string{sealedRegistration, sealedDose, mobileToken, contentDigest} {
		if before[kind] < 600 {
			t.Errorf("before the freeze %s was seen %d times in %d bytes: the watch is blind", kind, before[kind], bytesBefore)
		}
	}
	d.freeze(t)
	if after, written := rebuild(); len(after) > 0 || written == 0 {
		t.Errorf("after the freeze a rebuild wrote %v, in %d bytes", after, written)
	}

	// The ledger's own rebuild, its directory read at every step.
	looked := 0
	err := d.l.Rebuild(t.Context(), []string{"people", "register"}, func(string, uint64, uint64) {
		looked++
		if got := hunt(t, d.dir, ended); got.places(sealedRegistration) != "LEDGER" || got.places(mobileToken) != "" {
			t.Errorf("during the rebuild: %v", got)
		}
	})
	if err != nil || looked == 0 {
		t.Errorf("looked %d times: %v", looked, err)
	}
	if s := d.l.vault.State(domain.Cohort{District: muzaffarpur, Group: domain.HealthCareWorker, Generation: 1}); s.String() != "destroyed" {
		t.Errorf("the key is %s", s)
	}
}
