package evidence_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"bahi/domain"
	"bahi/evidence"
)

// The edge fixes the hashes that tlog stores, in its order, and tells its root.
func TestEdgeIsTheTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Uint64Range(0, 200).Draw(t, "size")
		start := rapid.Uint64Range(0, size).Draw(t, "start")
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
			for _, i := range indexes {
				out = append(out, stored[i])
			}
			return out, nil
		})
		leaf := func(n uint64) []byte { return []byte{byte(n), byte(n >> 8)} }
		for n := range size {
			hashes, err := tlog.StoredHashes(int64(n), leaf(n), reader)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, hashes...)
		}
		peaks, err := reader(evidence.EdgeIndexes(start))
		if err != nil {
			t.Fatal(err)
		}
		edge, err := evidence.NewEdge(start, peaks)
		if err != nil {
			t.Fatal(err)
		}
		got := append([]tlog.Hash(nil), stored[:tlog.StoredHashCount(int64(start))]...)
		for n := start; n < size; n++ {
			got = edge.Append(evidence.LeafHash(leaf(n)), got)
		}
		root, err := tlog.TreeHash(int64(size), reader)
		if err != nil || edge.Root() != root || edge.Size() != size {
			t.Fatalf("root of %d from %d: %v, want %v %v", size, start, edge.Root(), root, err)
		}
		if len(got) != len(stored) {
			t.Fatalf("%d hashes, want %d", len(got), len(stored))
		}
		for i := range got {
			if got[i] != stored[i] {
				t.Fatalf("hash %d differs", i)
			}
		}
	})
	if _, err := evidence.NewEdge(3, make([]evidence.Hash, 1)); !errors.Is(err, evidence.ErrMalformed) {
		t.Errorf("an edge that does not fit: %v", err)
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	d := frozenDrive(t, 5)
	c := d.tree(d.size())
	text, err := c.Sign(theKey)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "checkpoint.note", text)
	back, err := evidence.OpenCheckpoint(text, keys)
	if err != nil || back != c {
		t.Errorf("%+v %v", back, err)
	}
	// Another program of C2SP reads it.
	n, err := note.Open(text, keys)
	if err != nil || !strings.HasPrefix(n.Text, origin+"\n12\n") {
		t.Errorf("%v %v", n, err)
	}
	// A line that a later version may add, signed, is passed over.
	longer, err := note.Sign(&note.Note{Text: n.Text + "witnessed 3\n"}, theKey)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := evidence.OpenCheckpoint(longer, keys); err != nil || back != c {
		t.Errorf("with an extension: %+v %v", back, err)
	}
}

// Texts that are signed and are no checkpoints.
func TestCheckpointRefuses(t *testing.T) {
	t.Parallel()
	root := evidence.Hash{1}.String()
	for name, text := range map[string]string{
		"one line":      origin + "\n",
		"two lines":     origin + "\n1\n",
		"no origin":     "\n1\n" + root + "\n",
		"a plus":        "a+b\n1\n" + root + "\n",
		"a space":       "a b\n1\n" + root + "\n",
		"a zero before": origin + "\n01\n" + root + "\n",
		"a sign":        origin + "\n-1\n" + root + "\n",
		"too large":     origin + "\n9007199254740993\n" + root + "\n",
		"no hash":       origin + "\n1\nAAAA\n",
		"an empty line": origin + "\n1\n" + root + "\n\nx\n",
		"a statement":   "bahi count statement 1\norigin " + origin + "\ntree 1 " + root + "\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, theKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.OpenCheckpoint(signed, keys); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]evidence.Checkpoint{"no origin": {}, "too large": {Origin: origin, Size: 1 << 60}} {
		if _, err := c.Sign(theKey); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%s is signed: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	retired := newSigner(origin, 7)
	both, err := evidence.ParseKeys(theKey.text() + "\n  " + retired.text() + "\n\n# no more\n")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := evidence.Checkpoint{Origin: origin, Size: 1}.Sign(retired)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenCheckpoint(signed, both); err != nil {
		t.Error(err)
	}
	if _, err := evidence.OpenCheckpoint(signed, keys); !errors.Is(err, evidence.ErrSignature) {
		t.Errorf("with the other key alone: %v", err)
	}
	for _, text := range []string{"", "# nothing", "a+b", theKey.text() + "x", strings.Repeat(theKey.text()+"\n", 65)} {
		if _, err := evidence.ParseKeys(text); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	d := frozenDrive(t, 30)
	c := d.tree(d.size())
	checkpoint := d.signed(c.Sign(theKey))
	leaf := evidence.LeafHash(d.commits[6].Stored)
	inclusion := evidence.Proof{Type: evidence.Inclusion, Commit: 7, Leaf: &leaf, Hashes: d.include(7, d.size()), Checkpoint: checkpoint}
	consistency := evidence.Proof{Type: evidence.Consistency, From: 20, Hashes: d.continues(20, d.size()), Checkpoint: checkpoint}
	old := d.tree(20)
	for name, p := range map[string]evidence.Proof{"inclusion.json": inclusion, "consistency.json": consistency} {
		text, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, append(text, '\n'))
		back, err := evidence.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		earlier := &old
		if p.Type == evidence.Inclusion {
			earlier = nil
		}
		if got, err := back.Check(keys, earlier); err != nil || got != c {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	rewritten := old
	rewritten.Root[0] ^= 1
	other := leaf
	other[0] ^= 1
	for name, bad := range map[string]struct {
		proof   evidence.Proof
		earlier *evidence.Checkpoint
		want    error
	}{
		"another leaf":         {evidence.Proof{Type: evidence.Inclusion, Commit: 7, Leaf: &other, Hashes: inclusion.Hashes, Checkpoint: checkpoint}, nil, evidence.ErrProof},
		"another commit":       {evidence.Proof{Type: evidence.Inclusion, Commit: 8, Leaf: &leaf, Hashes: inclusion.Hashes, Checkpoint: checkpoint}, nil, evidence.ErrProof},
		"a commit not there":   {evidence.Proof{Type: evidence.Inclusion, Commit: 99, Leaf: &leaf, Checkpoint: checkpoint}, nil, evidence.ErrProof},
		"rewritten":            {consistency, &rewritten, evidence.ErrProof},
		"nothing kept":         {consistency, nil, evidence.ErrNoProof},
		"another kept":         {consistency, &evidence.Checkpoint{Origin: origin, Size: 21}, evidence.ErrNoProof},
		"same size, otherwise": {consistency, &evidence.Checkpoint{Origin: origin, Size: c.Size}, evidence.ErrProof},
		"of another ledger":    {consistency, &evidence.Checkpoint{Origin: "bahi/other", Size: 20, Root: old.Root}, evidence.ErrContradiction},
		"no commits, a root":   {consistency, &evidence.Checkpoint{Origin: origin}, evidence.ErrProof},
		"unsigned":             {evidence.Proof{Type: evidence.Inclusion, Commit: 7, Leaf: &leaf, Checkpoint: "a\n"}, nil, evidence.ErrMalformed},
	} {
		if _, err := bad.proof.Check(keys, bad.earlier); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", name, err, bad.want)
		}
	}
	for _, text := range []string{"", "{}", `{"type":"inclusion"}`, `{"type":"inclusion","commit":1}`, `{"type":"consistency","commit":1}`, `{"type":"other"}`} {
		if _, err := evidence.ParseProof([]byte(text)); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStatement(t *testing.T) {
	t.Parallel()
	d := frozenDrive(t, 5)
	s := d.statement(d.tree(d.size()))
	text, err := s.Sign(theKey)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "statement.note", text)
	back, err := evidence.OpenStatement(text, keys)
	if err != nil || !back.AsKnown.Equal(s.AsKnown) || back.Figures != s.Figures || back.Tree != s.Tree || back.AsOf != s.AsOf || back.District != s.District || back.Rules != s.Rules {
		t.Errorf("%+v %v", back, err)
	}
	for _, f := range []string{"registered 5", "dose1 0", "frozen 5", "district 208", "as_of 2021-03-04", "tree 12", "counting bahi/counting/1"} {
		if !strings.Contains(string(text), f) {
			t.Fatalf("no %q in it", f)
		}
		changed := strings.Replace(string(text), f, f+"1", 1)
		if _, err := evidence.OpenStatement([]byte(changed), keys); !errors.Is(err, evidence.ErrSignature) {
			t.Errorf("%s changed: %v", f, err)
		}
	}
	bad := s
	bad.Partial++
	if _, err := bad.Sign(theKey); !errors.Is(err, evidence.ErrContradiction) {
		t.Errorf("statuses that do not add up are signed: %v", err)
	}
	all := s
	all.District = 0
	if text, err = all.Sign(theKey); err != nil || !strings.Contains(string(text), "\ndistrict all\n") {
		t.Errorf("of all districts: %v", err)
	}
	if back, err := evidence.OpenStatement(text, keys); err != nil || back.District != 0 {
		t.Errorf("%+v %v", back, err)
	}
}

// The recount follows every kind of event, and both days.
func TestRecount(t *testing.T) {
	t.Parallel()
	f := &forest{t: t}
	day := domain.Date(2021, 3, 1)
	person := func(n byte) domain.PersonToken { return domain.PersonToken{n} }
	dose := domain.Dose{Number: 1, Vaccine: domain.Covishield, Day: day + 1, District: 188}
	for n := byte(1); n <= 3; n++ {
		f.add(208, domain.PersonRegistered{Person: person(n), Cohort: frozen, Sex: 1, Day: day, Sealed: []byte("x")})
	}
	f.add(208, domain.RegistrationWithdrawn{Person: person(3), Cohort: frozen, Sex: 1, Registered: day, Day: day + 1, Reason: domain.ReasonDuplicate})
	f.add(188, domain.DoseAdministered{Person: person(1), Cohort: frozen, Sex: 1, Dose: dose, Before: domain.Unvaccinated, After: domain.Partial})
	f.add(208, domain.ReversalRequested{Request: domain.UUID{1}, Person: person(1), Cohort: frozen, Sex: 1, Day: day + 2, From: domain.Partial, To: domain.Unvaccinated, Reason: domain.ReasonOther})
	ordered := f.add(0, domain.FreezeOrdered{Freeze: freeze, District: 208, Mode: domain.Erase, Day: day + 3, Cohorts: []domain.CohortSize{{Cohort: frozen, People: 2}}})
	born := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 2}
	last := f.add(208, domain.PersonRegistered{Person: person(4), Cohort: born, Sex: 1, Day: day + 4, Closed: true})

	figures := func(s evidence.Statement) evidence.Figures {
		r := evidence.NewRecount(s)
		for _, c := range f.commits {
			r.Add(c)
		}
		return r.Figures()
	}
	whole := evidence.Statement{Tree: f.tree(last), District: 208, AsOf: day + 9, AsKnown: recorded(last)}
	for name, want := range map[string]struct {
		change func(*evidence.Statement)
		evidence.Figures
	}{
		"all of it":           {func(*evidence.Statement) {}, evidence.Figures{Registered: 3, Unvaccinated: 2, Partial: 1, Frozen: 3, PendingReversals: 1}},
		"every district":      {func(s *evidence.Statement) { s.District = 0 }, evidence.Figures{Registered: 3, Dose1: 1, Unvaccinated: 2, Partial: 1, Frozen: 3, PendingReversals: 1}},
		"another district":    {func(s *evidence.Statement) { s.District = 188 }, evidence.Figures{Dose1: 1}},
		"as of the first day": {func(s *evidence.Statement) { s.AsOf = day }, evidence.Figures{Registered: 2, Unvaccinated: 2}},
		"before the freeze":   {func(s *evidence.Statement) { s.AsKnown = recorded(ordered).Add(-time.Millisecond) }, evidence.Figures{Registered: 2, Unvaccinated: 1, Partial: 1, PendingReversals: 1}},
		"of a smaller tree":   {func(s *evidence.Statement) { s.Tree = f.tree(3) }, evidence.Figures{Registered: 3, Unvaccinated: 3}},
	} {
		s := whole
		want.change(&s)
		if got := figures(s); got != want.Figures {
			t.Errorf("%s: %+v, want %+v", name, got, want.Figures)
		}
		s.Figures = want.Figures
		s.Registered += 7
		r := evidence.NewRecount(s)
		for _, c := range f.commits {
			r.Add(c)
		}
		if c := r.Contradictions(); len(c) != 1 || !strings.HasPrefix(c[0], "registered: ") {
			t.Errorf("%s, seven too many: %v", name, c)
		}
	}
}

func FuzzNotes(f *testing.F) {
	d := frozenDrive(f, 2)
	c := d.tree(d.size())
	f.Add([]byte(d.signed(c.Sign(theKey))))
	f.Add([]byte(d.signed(d.statement(c).Sign(theKey))))
	f.Add([]byte(d.receipt(d.size()).Claims))
	f.Add([]byte(origin + "\n1\n" + c.Root.String() + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// What is signed reaches the parsers; what they read they write again.
		for _, b := range [][]byte{text, signedAs(text)} {
			if c, err := evidence.OpenCheckpoint(b, keys); err == nil && c.Origin != origin {
				t.Errorf("%+v", c)
			}
			if s, err := evidence.OpenStatement(b, keys); err == nil {
				if again, err := s.Sign(theKey); err != nil || string(again) != string(b) {
					t.Errorf("%q is written again as %q: %v", b, again, err)
				}
			}
			_, _ = evidence.Receipt{Claims: string(b), Checkpoint: string(b), Statement: string(b)}.Check(keys, nil)
		}
	})
}

func signedAs(text []byte) []byte {
	b, err := note.Sign(&note.Note{Text: string(text)}, theKey)
	if err != nil {
		return nil
	}
	return b
}

func FuzzProof(f *testing.F) {
	d := frozenDrive(f, 9)
	checkpoint := d.signed(d.tree(d.size()).Sign(theKey))
	leaf := evidence.LeafHash(d.commits[6].Stored)
	old := d.tree(5)
	for _, p := range []evidence.Proof{
		{Type: evidence.Inclusion, Commit: 7, Leaf: &leaf, Hashes: d.include(7, d.size()), Checkpoint: checkpoint},
		{Type: evidence.Consistency, From: 5, Hashes: d.continues(5, d.size()), Checkpoint: checkpoint},
	} {
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := evidence.ParseProof(text)
		if err != nil {
			return
		}
		if c, err := p.Check(keys, &old); err == nil && p.Type == evidence.Inclusion && evidence.LeafHash(d.commits[p.Commit-1].Stored) != *p.Leaf {
			t.Errorf("a leaf that is not there is proven: %+v", c)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(theKey.text())
	f.Add("# a\n" + theKey.text() + "\n" + newSigner("b", 3).text())
	f.Fuzz(func(t *testing.T, text string) { _, _ = evidence.ParseKeys(text) })
}

func BenchmarkLeafAndAppend(b *testing.B) {
	for _, size := range []int{300, 60_000} {
		b.Run(map[int]string{300: "one event, 300 B", 60_000: "500 events, 60 kB"}[size], func(b *testing.B) {
			stored := make([]byte, size)
			for i := range stored {
				stored[i] = byte(rand.IntN(256))
			}
			var edge evidence.Edge
			var hashes []evidence.Hash
			b.SetBytes(int64(size))
			for b.Loop() {
				hashes = edge.Append(evidence.LeafHash(stored), hashes[:0])
			}
		})
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	c := evidence.Checkpoint{Origin: origin, Size: 812}
	signed, err := c.Sign(theKey)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Sign(theKey); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := evidence.OpenCheckpoint(signed, keys); err != nil {
				b.Fatal(err)
			}
		}
	})
}
