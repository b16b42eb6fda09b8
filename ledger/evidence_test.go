package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/evidence"
	"bahi/internal/natstest"
	"bahi/projections"
)

// recordedHistory fills a ledger with a dozen commits and returns its last checkpoint.
func recordedHistory(t *testing.T, dir string) (checkpoint string) {
	t.Helper()
	l := open(t, dir)
	for n := 1; n <= 5; n++ {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
		want(t, submit(t, l, centre, doseOf(n, 1, muzaffarpur, "2021-01-17")), domain.Accepted)
	}
	shut(t, l)
	text, err := os.ReadFile(filepath.Join(dir, "data", "checkpoints", "latest"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keysOf(t *testing.T, l *Ledger) evidence.Keys {
	t.Helper()
	text, err := l.PublicKeys()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := evidence.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A checkpoint follows what was submitted within a second or so, at the end at once,
// and each continues the one before.
func TestCheckpointsFollowTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := recordedHistory(t, dir)
	l := open(t, dir)
	keys := keysOf(t, l)
	old, err := evidence.OpenCheckpoint([]byte(first), keys)
	if err != nil || old.Size != l.register.Folded() || old.Origin != l.origin() {
		t.Fatalf("at the end: %+v %v, %d commits", old, err, l.register.Folded())
	}
	want(t, submit(t, l, centre, registrationOf(9, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	for deadline := time.Now().Add(natstest.Patience); l.checkpoints.size() == old.Size; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no checkpoint was signed in %s", natstest.Patience)
		}
	}
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now, err := evidence.OpenCheckpoint([]byte(info.Checkpoint), keys)
	if err != nil || now.Size != old.Size+1 {
		t.Fatalf("while it grows: %+v %v", now, err)
	}
	proof, err := l.ProveFrom(t.Context(), old.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Check(keys, &old); err != nil {
		t.Error(err)
	}
	other := old
	other.Root[0] ^= 1
	if _, err := proof.Check(keys, &other); !errors.Is(err, evidence.ErrProof) {
		t.Errorf("against another history: %v", err)
	}
	for commit := uint64(1); commit <= now.Size; commit++ {
		proof, err := l.Prove(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := l.store.At(t.Context(), commit)
		if err != nil || *proof.Leaf != evidence.LeafHash(stored.Stored) {
			t.Errorf("leaf of commit %d: %v", commit, err)
		}
		if _, err := proof.Check(keys, &now); err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{second(l.Prove(t.Context(), 0)), second(l.Prove(t.Context(), 99)), second(l.ProveFrom(t.Context(), 99))} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("beyond the ledger: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// An empty ledger can be opened, asked and closed, and signs nothing.
func TestEmptyLedgerSignsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	if r, err := l.Verify(t.Context(), nil); err != nil || !r.OK() || r.Root != "" {
		t.Errorf("verify: %+v %v", r, err)
	}
	for _, err := range []error{
		second(l.Prove(t.Context(), 1)), second(l.ProveFrom(t.Context(), 0)),
		second(l.CountStatement(t.Context(), projections.CountsQuery{District: muzaffarpur})),
		second(l.Receipt(t.Context(), uuidOf(9, 1))),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("an empty ledger has no evidence: %v", err)
		}
	}
	shut(t, l)
	if _, err := os.Stat(filepath.Join(dir, "data", "checkpoints")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a checkpoint of nothing: %v", err)
	}
}

func TestVerifyHoldsTheLedgerToWhatWasKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	checkpoint := []byte(recordedHistory(t, dir))
	l := open(t, dir)
	statement, err := l.CountStatement(t.Context(), projections.CountsQuery{District: muzaffarpur})
	if err != nil {
		t.Fatal(err)
	}
	want(t, submit(t, l, centre, registrationOf(9, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	r, err := l.VerifyKept(t.Context(), Kept{Checkpoint: checkpoint, Statement: statement}, func(done, total uint64) {
		if done > total {
			t.Errorf("%d of %d", done, total)
		}
	})
	if err != nil || !r.OK() || r.Commits != l.register.Folded() || r.Root == "" {
		t.Fatalf("%+v %v", r, err)
	}
	s, err := evidence.OpenStatement(statement, keysOf(t, l))
	if err != nil || s.Registered != 5 || s.Dose1 != 5 || s.Partial != 5 || s.Tree.Size+1 != l.register.Folded() {
		t.Errorf("%+v %v", s, err)
	}

	// What the ledger itself would sign, were it to lie.
	key, err := l.vault.Signer(l.origin())
	if err != nil {
		t.Fatal(err)
	}
	lie := s
	lie.Dose1++
	lied, err := lie.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := evidence.Checkpoint{Origin: l.origin(), Size: 99, Root: s.Tree.Root}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := evidence.Checkpoint{Origin: l.origin(), Size: s.Tree.Size - 1, Root: s.Tree.Root}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		kept Kept
		says string
	}{
		"an altered count":      {Kept{Statement: bytes.Replace(statement, []byte("dose1 5"), []byte("dose1 6"), 1)}, "changed after it was signed"},
		"a wrong count, signed": {Kept{Statement: lied}, "dose1: 6 in the statement, 5 by the ledger"},
		"another's checkpoint":  {Kept{Checkpoint: []byte(recordedHistory(t, t.TempDir()))}, "not signed with the given public key"},
		"commits missing":       {Kept{Checkpoint: ahead}, "commits are missing"},
		"history rewritten":     {Kept{Checkpoint: rewritten}, "history was rewritten"},
		"no note":               {Kept{Checkpoint: []byte("a\n")}, "not a signed note"},
	} {
		r, err := l.VerifyKept(t.Context(), bad.kept, nil)
		if err != nil || len(r.Mismatches) != 1 || !strings.Contains(r.Mismatches[0].What, bad.says) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if _, err := l.CountStatement(t.Context(), projections.CountsQuery{By: []projections.Dimension{projections.ByGroup}}); !errors.Is(err, ErrBadRequest) {
		t.Errorf("a statement with rows: %v", err)
	}
}

// rewrite makes a copy of a ledger whose stream has other commits.
func rewrite(t *testing.T, from string, change func([]eventstore.Commit) []eventstore.Commit) (to string) {
	t.Helper()
	to = t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	private(t, to)
	stream := filepath.Join(to, "data", "jetstream")
	s, err := eventstore.Open(t.Context(), eventstore.Config{Dir: stream})
	if err != nil {
		t.Fatal(err)
	}
	var commits []eventstore.Commit
	for c, err := range s.Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, c)
	}
	if err := errors.Join(s.Close(), os.RemoveAll(stream)); err != nil {
		t.Fatal(err)
	}
	if s, err = eventstore.Open(t.Context(), eventstore.Config{Dir: stream}); err != nil {
		t.Fatal(err)
	}
	for i, c := range change(commits) {
		if _, err := s.Append(t.Context(), c, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

// private takes from a copy the permissions that keys may not have.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		mode := os.FileMode(0o600)
		if err == nil && d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Somebody edits the stream. With the views and the checkpoint in place verify tells
// from which commit on; with the views made anew the ledger is not opened; and with
// the checkpoint gone, too, the auditor's copy tells.
func TestRewrittenHistory(t *testing.T) {
	t.Parallel()
	original := t.TempDir()
	kept := []byte(recordedHistory(t, original))
	for name, change := range map[string]func([]eventstore.Commit) []eventstore.Commit{
		"a tampered byte": func(cs []eventstore.Commit) []eventstore.Commit {
			dose := cs[7].Entries[0].Event.(domain.DoseAdministered)
			dose.Sealed = bytes.Clone(dose.Sealed)
			dose.Sealed[7] ^= 1
			cs[7].Entries[0].Event = dose
			return cs
		},
		"a dropped commit": func(cs []eventstore.Commit) []eventstore.Commit { return append(cs[:7], cs[8:]...) },
		"a swapped pair": func(cs []eventstore.Commit) []eventstore.Commit {
			cs[7], cs[9] = cs[9], cs[7]
			return cs
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rewrite(t, original, change)
			config := Config{Data: dir + "/data", Keys: dir + "/keys"}
			l, err := Open(t.Context(), config)
			var rewritten *RewrittenError
			switch {
			case errors.As(err, &rewritten) && name == "a dropped commit":
			case err == nil:
				r, err := l.Verify(t.Context(), nil)
				if err != nil || r.OK() {
					t.Errorf("verify: %+v %v", r, err)
				}
				told := map[string]string{}
				for _, m := range r.Mismatches {
					told[m.View] += m.What
				}
				if !strings.Contains(told["merkle"], "from commit 8 on") || !strings.Contains(told["ledger"], "history was rewritten") {
					t.Errorf("it is not told what differs: %+v", r.Mismatches)
				}
				shut(t, l)
			default:
				t.Fatal(err)
			}

			for _, view := range Views() {
				if err := DiscardView(config, view); err != nil {
					t.Fatal(err)
				}
			}
			if l, err = Open(t.Context(), config); !errors.As(err, &rewritten) {
				if err == nil {
					shut(t, l)
				}
				t.Fatalf("with the views made anew it opens: %v", err)
			}

			if err := os.RemoveAll(dir + "/data/checkpoints"); err != nil {
				t.Fatal(err)
			}
			if l, err = Open(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			defer shut(t, l)
			if r, err := l.Verify(t.Context(), nil); err != nil || !r.OK() {
				t.Errorf("nothing is left that could tell, and yet: %+v %v", r, err)
			}
			r, err := l.VerifyKept(t.Context(), Kept{Checkpoint: kept}, nil)
			if err != nil || r.OK() {
				t.Errorf("the auditor does not see it: %+v %v", r, err)
			}
		})
	}
}

// An older copy of the stream is put back under the views and the checkpoint.
func TestOlderCopyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recordedHistory(t, dir)
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(dir+"/data/jetstream")); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	want(t, submit(t, l, centre, registrationOf(9, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	shut(t, l)
	if err := errors.Join(os.RemoveAll(dir+"/data/jetstream"), os.CopyFS(dir+"/data/jetstream", os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	var rewritten *RewrittenError
	if _, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys"}); !errors.As(err, &rewritten) || rewritten.Head+1 != rewritten.Kept.Size {
		t.Errorf("%v", err)
	}
}

// A byte flips in the file that the server keeps messages in. The server's own
// checksums make it forget the message, or all from there on: the checkpoint, or the
// hole, tells.
func TestFlippedByteOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recordedHistory(t, dir)
	blocks, err := filepath.Glob(dir + "/data/jetstream/jetstream/*/streams/LEDGER/msgs/*.blk")
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no block files: %v", err)
	}
	content, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(blocks[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys"})
	if err != nil {
		t.Logf("refused: %v", err)
		return
	}
	defer shut(t, l)
	r, err := l.Verify(t.Context(), nil)
	t.Logf("opened; verify: %+v %v", r, err)
	if err == nil && r.OK() {
		t.Error("a flipped byte goes unnoticed")
	}
}

// The signing key is rotated, or lost.
func TestCheckpointsAndTheirKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := []byte(recordedHistory(t, dir))
	l := open(t, dir)
	if err := l.vault.RotateSigningKey(); err != nil {
		t.Fatal(err)
	}
	want(t, submit(t, l, centre, registrationOf(9, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	shut(t, l)
	l = open(t, dir)
	if r, err := l.VerifyKept(t.Context(), Kept{Checkpoint: kept}, nil); err != nil || !r.OK() {
		t.Errorf("a checkpoint of the retired key: %+v %v", r, err)
	}
	if left, err := os.ReadFile(CheckpointPublicKeys(dir + "/data")); err != nil || strings.Count(string(left), "\n") != 2 {
		t.Errorf("public keys left in the data directory: %q %v", left, err)
	}
	shut(t, l)
	if err := os.Remove(dir + "/keys/signing.key"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys"}); !errors.Is(err, evidence.ErrSignature) {
		t.Errorf("with another key: %v", err)
	}
}

// A freeze leaves a receipt that holds with the public key alone, against a
// checkpoint that an auditor kept before it, and years of commits later.
func TestFreezeReceipt(t *testing.T) {
	t.Parallel()
	for _, mode := range []domain.FreezeMode{domain.Handover, domain.Erase} {
		dir := t.TempDir()
		kept := []byte(recordedHistory(t, dir))
		l := open(t, dir)
		keys := keysOf(t, l)
		before, err := evidence.OpenCheckpoint(kept, keys)
		if err != nil {
			t.Fatal(err)
		}
		f := freezeOf(1, muzaffarpur, "2021-03-04")
		f.Mode = mode
		done, err := l.Freeze(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(done.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := evidence.ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		found, err := receipt.Check(keys, &before)
		if err != nil {
			t.Fatal(err)
		}
		c := found.Claims
		if c.People != 5 || c.Freeze != f.ID || c.Order != done.Commit || c.Mode != mode || len(c.Holders) != len(done.Purged) || !c.Completed.Equal(done.CompletedAt) ||
			(c.Handover != nil) != (mode == domain.Handover) || found.Statement.Frozen != 5 || found.Statement.Dose1 != 5 || !found.Continues {
			t.Errorf("%+v", found)
		}
		again, err := l.Freeze(t.Context(), f)
		if err != nil || again.Receipt != done.Receipt {
			t.Errorf("the same order again: %+v %v", again, err)
		}
		for n := 20; n < 24; n++ {
			want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-03-05")), domain.Accepted)
		}
		later, err := l.Receipt(t.Context(), f.ID, before.Size)
		if err != nil {
			t.Fatal(err)
		}
		if found, err = later.Check(keys, &before); err != nil || found.Checkpoint.Size != l.register.Folded() || found.Claims.People != 5 {
			t.Errorf("asked for later: %+v %v", found, err)
		}
		if _, err := l.Receipt(t.Context(), uuidOf(9, 2)); !errors.Is(err, ErrNotFound) {
			t.Errorf("of a freeze that never was: %v", err)
		}
		if r, err := l.VerifyKept(t.Context(), Kept{Checkpoint: []byte(receipt.Checkpoint), Statement: []byte(receipt.Statement)}, nil); err != nil || !r.OK() {
			t.Errorf("the counts of the receipt: %+v %v", r, err)
		}
	}
}

// TestNodeThatDecidesNothingSigns: a node that was open before another one founded the
// ledger learns its name when it has something to sign.
func TestNodeThatDecidesNothingSigns(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	first := openNode(t, url, nil)
	second := openNode(t, url, first)
	third := openNode(t, url, first)
	if _, err := third.CountStatement(t.Context(), projections.CountsQuery{District: muzaffarpur}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a statement of an empty ledger: %v", err)
	}
	want(t, submit(t, first, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	if _, err := third.CountStatement(t.Context(), projections.CountsQuery{District: muzaffarpur}); err != nil {
		t.Error(err)
	}
	if _, err := second.Prove(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if signed := second.checkpoints.last.Load(); signed == nil || signed.Origin != first.Origin() {
		t.Errorf("signed is %+v, want a checkpoint of %s", signed, first.Origin())
	}
}

// What a checkpoint, a proof and a receipt cost, beside the commit they follow.
func BenchmarkEvidence(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir)
	for n := range 200 {
		submit(b, l, centre, registrationOf(n+1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"))
	}
	f := freezeOf(1, muzaffarpur, "2021-03-04")
	if _, err := l.Freeze(b.Context(), f); err != nil {
		b.Fatal(err)
	}
	b.Run("checkpoint, signed and kept", func(b *testing.B) {
		for b.Loop() {
			l.checkpoints.last.Store(nil)
			if _, err := l.signCheckpoint(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("inclusion", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Prove(b.Context(), 7); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("receipt", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Receipt(b.Context(), f.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Counts of another ledger are one finding of a verification, which goes on to its end.
func TestVerifyTellsOfCountsOfAnotherLedger(t *testing.T) {
	t.Parallel()
	here, elsewhere := t.TempDir(), t.TempDir()
	recordedHistory(t, here)
	recordedHistory(t, elsewhere)
	counts := filepath.Join("data", "counts")
	if err := os.RemoveAll(filepath.Join(here, counts)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(here, counts), os.DirFS(filepath.Join(elsewhere, counts))); err != nil {
		t.Fatal(err)
	}
	private(t, filepath.Join(here, counts))
	l := open(t, here)
	r, err := l.Verify(t.Context(), nil)
	if err != nil || len(r.Mismatches) != 1 || r.Mismatches[0].View != "counts" || r.Commits == 0 {
		t.Errorf("verify: %+v %v", r, err)
	}
	shut(t, l)
}
