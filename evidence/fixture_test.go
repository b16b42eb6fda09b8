package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/evidence"
)

const origin = "bahi/5f0c8e21"

// signer signs with a key that follows from its name and a number.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s signer) Name() string                     { return s.name }
func (s signer) KeyHash() uint32                  { return s.hash }
func (s signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }
func (s signer) text() string {
	text, err := note.NewEd25519VerifierKey(s.name, s.key.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return text
}

func newSigner(name string, n byte) signer {
	s := signer{name: name, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))}
	v, err := note.NewVerifier(s.text())
	if err != nil {
		panic(err)
	}
	s.hash = v.KeyHash()
	return s
}

var (
	theKey  = newSigner(origin, 1)
	keys, _ = evidence.ParseKeys("# the ledger of the tests\n" + theKey.text() + "\n")
)

// forest is a ledger in memory with its tree.
type forest struct {
	t       testing.TB
	commits []eventstore.Commit
	hashes  []evidence.Hash
	edge    evidence.Edge
}

func (f *forest) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = f.hashes[index]
	}
	return out, nil
}

// add appends a commit and returns its sequence.
func (f *forest) add(district domain.District, events ...domain.Event) uint64 {
	f.t.Helper()
	n := uint64(len(f.commits)) + 1
	c := eventstore.Commit{District: district}
	binary.BigEndian.PutUint64(c.ID[8:], n)
	for _, e := range events {
		c.Entries = append(c.Entries, eventstore.Entry{Recorded: recorded(n), Event: e})
	}
	stored, err := eventstore.Encode(c)
	if err != nil {
		f.t.Fatal(err)
	}
	if c, err = eventstore.Decode(stored); err != nil {
		f.t.Fatal(err)
	}
	c.Sequence, c.Stored = n, stored
	f.commits = append(f.commits, c)
	f.hashes = f.edge.Append(evidence.LeafHash(stored), f.hashes)
	return n
}

func recorded(n uint64) time.Time { return time.UnixMilli(1_614_860_000_000 + int64(n)*1000).UTC() }

func (f *forest) tree(size uint64) evidence.Checkpoint {
	f.t.Helper()
	root, err := tlog.TreeHash(int64(size), f)
	if err != nil {
		f.t.Fatal(err)
	}
	return evidence.Checkpoint{Origin: origin, Size: size, Root: root}
}

func (f *forest) size() uint64 { return uint64(len(f.commits)) }

func (f *forest) include(commit, size uint64) []evidence.Hash {
	f.t.Helper()
	hashes, err := tlog.ProveRecord(int64(size), int64(commit)-1, f)
	if err != nil {
		f.t.Fatal(err)
	}
	return append([]evidence.Hash{}, hashes...)
}

func (f *forest) continues(older, newer uint64) []evidence.Hash {
	f.t.Helper()
	hashes, err := tlog.ProveTree(int64(newer), int64(older), f)
	if err != nil {
		f.t.Fatal(err)
	}
	return append([]evidence.Hash{}, hashes...)
}

var (
	frozen = domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	freeze = domain.UUID{0x01, 0x8f, 0x3c, 0x1e, 15: 7}
)

// register adds n people of the cohort, each a commit.
func (f *forest) register(n int) {
	for range n {
		p := domain.PersonRegistered{Cohort: frozen, Sex: domain.Female, Day: domain.Date(2021, 3, 1), Sealed: []byte("sealed")}
		binary.BigEndian.PutUint64(p.Person[:], f.size()+1)
		f.add(208, p)
	}
}

// drive is a ledger with a freeze that was carried out: 1 founding, 2 enrolments,
// people, the order and what follows from it.
type drive struct {
	*forest
	claims evidence.Claims
}

func frozenDrive(t testing.TB, people int) *drive {
	f := &forest{t: t}
	f.add(0, domain.LedgerFounded{Origin: origin, Pepper: [16]byte{1}})
	enrolled := f.add(0, domain.HolderEnrolled{Holder: "people@5f0c8e21"}, domain.HolderEnrolled{Holder: "vault@5f0c8e21"})
	f.register(people)
	d := &drive{forest: f}
	order := domain.FreezeOrdered{
		Freeze: freeze, District: 208, Groups: []domain.Group{domain.HealthCareWorker}, Mode: domain.Handover, Order: "DL/2021/117", By: "authority",
		Day: domain.Date(2021, 3, 4), Cohorts: []domain.CohortSize{{Cohort: frozen, People: int64(people)}},
	}
	at := f.add(0, order)
	f.add(0, domain.PhotoIDsComplete{Freeze: freeze, Tokens: int64(people)})
	handover := f.add(0, domain.HandoverMade{Freeze: freeze, SHA256: [32]byte{9}, Key: [32]byte{8}})
	keysGone := f.add(0, domain.Purged{Freeze: freeze, Holder: "vault@5f0c8e21", Keys: 1})
	rowsGone := f.add(0, domain.Purged{Freeze: freeze, Holder: "people@5f0c8e21", Rows: int64(people)})
	d.claims = evidence.Claims{
		Freeze: freeze, District: 208, Groups: order.Groups, Mode: domain.Handover, People: int64(people), Order: at,
		Handover: &evidence.HandoverClaim{Commit: handover, SHA256: [32]byte{9}},
		Holders: []evidence.HolderClaim{
			{Name: "people@5f0c8e21", Enrolled: enrolled, Acknowledged: rowsGone},
			{Name: "vault@5f0c8e21", Enrolled: enrolled, Acknowledged: keysGone},
		},
		Completed: recorded(rowsGone),
	}
	return d
}

func (d *drive) statement(tree evidence.Checkpoint) evidence.Statement {
	n := d.claims.People
	return evidence.Statement{
		Tree: tree, District: 208, AsOf: domain.Date(2021, 3, 4), AsKnown: recorded(d.size()), Rules: "built-in-0123456789ab",
		Figures: evidence.Figures{Registered: n, Unvaccinated: n, Frozen: n},
	}
}

// receipt writes the receipt of the drive's claims, with the commits that they need
// as far as the tree has them.
func (d *drive) receipt(size uint64) evidence.Receipt {
	d.t.Helper()
	tree := d.tree(size)
	d.claims.Tree = tree
	needed := map[uint64]bool{d.claims.Order: true}
	if d.claims.Handover != nil {
		needed[d.claims.Handover.Commit] = true
	}
	for _, h := range d.claims.Holders {
		needed[h.Enrolled], needed[h.Acknowledged] = true, true
	}
	var r evidence.Receipt
	for _, c := range d.commits[:size] {
		if needed[c.Sequence] {
			r.Commits = append(r.Commits, evidence.Proven{Commit: c.Sequence, Stored: c.Stored, Hashes: d.include(c.Sequence, size)})
		}
	}
	r.Recent.Size = size - min(size, evidence.MaxRecent)
	r.Recent.Edge, _ = d.ReadHashes(evidence.EdgeIndexes(r.Recent.Size))
	for _, c := range d.commits[r.Recent.Size:size] {
		r.Recent.Leaves = append(r.Recent.Leaves, evidence.LeafHash(c.Stored))
	}
	r.Checkpoint = d.signed(tree.Sign(theKey))
	r.Statement = d.signed(d.statement(tree).Sign(theKey))
	r, err := r.Write(d.claims, theKey)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *drive) signed(b []byte, err error) string {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds a format that lasts to a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the format differs from %s; whoever keeps such a file cannot check it any more:\n%s", path, got)
	}
}
