package evidence_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/evidence"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	d := frozenDrive(t, 5)
	r := d.receipt(d.size())
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "freeze.receipt", text)
	golden(t, "receipt.note", []byte(r.Claims))
	back, err := evidence.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := back.Check(keys, nil)
	if err != nil || found.Enrolled != 2 || found.Claims.People != 5 || found.Continues {
		t.Errorf("%+v %v", found, err)
	}
}

// The golden receipt is one that somebody kept: it holds for as long as this
// program is read.
func TestKeptReceiptStillHolds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/freeze.receipt")
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := evidence.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	d := frozenDrive(t, 5)
	for size := range d.size() + 1 {
		kept := d.tree(size)
		if found, err := receipt.Check(keys, &kept); err != nil || !found.Continues {
			t.Errorf("against a checkpoint of %d: %v", size, err)
		}
		kept.Root[5] ^= 1
		if _, err := receipt.Check(keys, &kept); !errors.Is(err, evidence.ErrProof) {
			t.Errorf("against another history of %d: %v", size, err)
		}
	}
}

// Each of these is signed with the ledger's own key: what is wrong is what it says.
func TestReceiptThatLies(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]struct {
		tell func(*drive)
		want error
	}{
		"fewer people":                     {func(d *drive) { d.claims.People-- }, evidence.ErrContradiction},
		"another district":                 {func(d *drive) { d.claims.District = 188 }, evidence.ErrContradiction},
		"other groups":                     {func(d *drive) { d.claims.Groups = nil }, evidence.ErrContradiction},
		"standing":                         {func(d *drive) { d.claims.Standing = true }, evidence.ErrContradiction},
		"another mode":                     {func(d *drive) { d.claims.Mode = domain.Erase }, evidence.ErrContradiction},
		"another freeze":                   {func(d *drive) { d.claims.Freeze[0]++ }, evidence.ErrIncomplete},
		"the order elsewhere":              {func(d *drive) { d.claims.Order++ }, evidence.ErrIncomplete},
		"no handover":                      {func(d *drive) { d.claims.Handover = nil }, evidence.ErrIncomplete},
		"another handover":                 {func(d *drive) { d.claims.Handover.SHA256[0]++ }, evidence.ErrIncomplete},
		"an earlier end":                   {func(d *drive) { d.claims.Completed = recorded(1) }, evidence.ErrContradiction},
		"a holder left out":                {func(d *drive) { d.claims.Holders = d.claims.Holders[:1] }, evidence.ErrIncomplete},
		"no holders":                       {func(d *drive) { d.claims.Holders = nil }, evidence.ErrIncomplete},
		"holders twice":                    {func(d *drive) { d.claims.Holders = append(d.claims.Holders, d.claims.Holders[1]) }, evidence.ErrMalformed},
		"a holder nobody enrolled":         {func(d *drive) { d.claims.Holders[1].Name = "vault@other" }, evidence.ErrIncomplete},
		"enrolled elsewhere":               {func(d *drive) { d.claims.Holders[1].Enrolled = 1 }, evidence.ErrIncomplete},
		"an acknowledgement elsewhere":     {func(d *drive) { d.claims.Holders[1].Acknowledged = d.claims.Order }, evidence.ErrIncomplete},
		"an acknowledgement of none":       {func(d *drive) { d.claims.Holders[1].Acknowledged = d.claims.Holders[0].Acknowledged }, evidence.ErrIncomplete},
		"an acknowledgement in the future": {func(d *drive) { d.claims.Holders[1].Acknowledged = 99 }, evidence.ErrIncomplete},
		"residue": {func(d *drive) {
			d.claims.Holders[0].Acknowledged = d.add(0, domain.Purged{Freeze: freeze, Holder: "people@5f0c8e21", Residue: 1})
		}, evidence.ErrIncomplete},
		"another freeze's acknowledgement": {func(d *drive) {
			d.claims.Holders[0].Acknowledged = d.add(0, domain.Purged{Freeze: domain.UUID{3}, Holder: "people@5f0c8e21"})
		}, evidence.ErrIncomplete},
		"keys destroyed before their handover": {func(d *drive) {
			d.claims.Handover.Commit = d.add(0, domain.HandoverMade{Freeze: freeze, SHA256: [32]byte{9}})
		}, evidence.ErrContradiction},
	} {
		d := frozenDrive(t, 5)
		lie.tell(d)
		if _, err := d.receipt(d.size()).Check(keys, nil); !errors.Is(err, lie.want) {
			t.Errorf("%s: %v, want %v", name, err, lie.want)
		}
	}
}

// A holder that was enrolled before the order and is silent, or spoke before it.
func TestReceiptWithoutAnAcknowledgement(t *testing.T) {
	t.Parallel()
	f := &forest{t: t}
	f.add(0, domain.HolderEnrolled{Holder: "people@a"}, domain.HolderEnrolled{Holder: "people@b"}, domain.HolderEnrolled{Holder: "vault@a"})
	early := f.add(0, domain.Purged{Freeze: freeze, Holder: "people@b"})
	order := f.add(0, domain.FreezeOrdered{Freeze: freeze, District: 208, Mode: domain.Erase})
	a := f.add(0, domain.Purged{Freeze: freeze, Holder: "people@a"}, domain.Purged{Freeze: freeze, Holder: "vault@a"})
	d := &drive{f, evidence.Claims{Freeze: freeze, District: 208, Mode: domain.Erase, Order: order, Completed: recorded(a), Holders: []evidence.HolderClaim{
		{Name: "people@a", Enrolled: 1, Acknowledged: a}, {Name: "vault@a", Enrolled: 1, Acknowledged: a},
	}}}
	if _, err := d.receipt(d.size()).Check(keys, nil); !errors.Is(err, evidence.ErrIncomplete) || !strings.Contains(err.Error(), "people@b") {
		t.Errorf("silent: %v", err)
	}
	d.claims.Holders = slices.Insert(d.claims.Holders, 1, evidence.HolderClaim{Name: "people@b", Enrolled: 1, Acknowledged: early})
	if _, err := d.receipt(d.size()).Check(keys, nil); !errors.Is(err, evidence.ErrIncomplete) || !strings.Contains(err.Error(), "before the order") {
		t.Errorf("too early: %v", err)
	}
	last := d.add(0, domain.Purged{Freeze: freeze, Holder: "people@b"})
	d.claims.Holders[1].Acknowledged, d.claims.Completed = last, recorded(last)
	if _, err := d.receipt(d.size()).Check(keys, nil); err != nil {
		t.Errorf("at last: %v", err)
	}
	// A stale checkpoint: of the ledger before the last acknowledgement.
	if _, err := d.receipt(last-1).Check(keys, nil); !errors.Is(err, evidence.ErrIncomplete) {
		t.Errorf("of a tree without it: %v", err)
	}
}

// Whatever is changed in a receipt after it was signed is noticed.
func TestForgedReceipt(t *testing.T) {
	t.Parallel()
	other := frozenDrive(t, 6)
	forged := newSigner(origin, 2)
	for name, forge := range map[string]struct {
		change func(*evidence.Receipt, *drive)
		want   error
	}{
		"a claim": {func(r *evidence.Receipt, _ *drive) { r.Claims = strings.Replace(r.Claims, "people 5", "people 4", 1) }, evidence.ErrSignature},
		"a count": {func(r *evidence.Receipt, _ *drive) {
			r.Statement = strings.Replace(r.Statement, "frozen 5", "frozen 0", 1)
		}, evidence.ErrSignature},
		"the checkpoint": {func(r *evidence.Receipt, _ *drive) {
			r.Checkpoint = strings.Replace(r.Checkpoint, "\n12\n", "\n13\n", 1)
		}, evidence.ErrSignature},
		"another key": {func(r *evidence.Receipt, d *drive) { *r, _ = r.Write(d.claims, forged) }, evidence.ErrSignature},
		"another origin": {func(r *evidence.Receipt, d *drive) {
			r.Checkpoint = d.signed(evidence.Checkpoint{Origin: "bahi/other", Size: 1}.Sign(theKey))
		}, evidence.ErrSignature},
		"another checkpoint":  {func(r *evidence.Receipt, _ *drive) { r.Checkpoint = other.receipt(other.size()).Checkpoint }, evidence.ErrContradiction},
		"another statement":   {func(r *evidence.Receipt, _ *drive) { r.Statement = other.receipt(other.size()).Statement }, evidence.ErrContradiction},
		"another claim":       {func(r *evidence.Receipt, _ *drive) { r.Claims = other.receipt(other.size()).Claims }, evidence.ErrContradiction},
		"a commit's bytes":    {func(r *evidence.Receipt, _ *drive) { r.Commits[1].Stored[20] ^= 1 }, evidence.ErrProof},
		"a commit's sequence": {func(r *evidence.Receipt, _ *drive) { r.Commits[0].Commit-- }, evidence.ErrProof},
		"a commit's proof":    {func(r *evidence.Receipt, _ *drive) { r.Commits[1].Hashes[0][0] ^= 1 }, evidence.ErrProof},
		"a commit left out":   {func(r *evidence.Receipt, _ *drive) { r.Commits = r.Commits[:len(r.Commits)-1] }, evidence.ErrIncomplete},
		"the order left out":  {func(r *evidence.Receipt, _ *drive) { r.Commits = slices.Delete(r.Commits, 1, 2) }, evidence.ErrIncomplete},
		"commits twice":       {func(r *evidence.Receipt, _ *drive) { r.Commits = append(r.Commits[:1], r.Commits...) }, evidence.ErrMalformed},
		"people's commits": {func(r *evidence.Receipt, d *drive) {
			r.Commits = slices.Insert(r.Commits, 1, evidence.Proven{Commit: 3, Stored: d.commits[2].Stored, Hashes: d.include(3, d.size())})
		}, evidence.ErrContradiction},
		"no signature":  {func(r *evidence.Receipt, _ *drive) { r.Claims, _, _ = strings.Cut(r.Claims, "\n— ") }, evidence.ErrMalformed},
		"a recent leaf": {func(r *evidence.Receipt, _ *drive) { r.Recent.Leaves[9][0] ^= 1 }, evidence.ErrProof},
		"no recent":     {func(r *evidence.Receipt, _ *drive) { r.Recent = evidence.Recent{} }, evidence.ErrProof},
	} {
		d := frozenDrive(t, 5)
		r := d.receipt(d.size())
		forge.change(&r, d)
		kept := d.tree(8)
		if _, err := r.Check(keys, &kept); !errors.Is(err, forge.want) {
			t.Errorf("%s: %v, want %v", name, err, forge.want)
		}
	}
}

// A checkpoint from before the last thousand commits needs a proof that was asked
// for.
func TestReceiptAgainstAnOldCheckpoint(t *testing.T) {
	t.Parallel()
	d := frozenDrive(t, 3)
	d.register(evidence.MaxRecent + 40)
	r := d.receipt(d.size())
	old, recent := d.tree(20), d.tree(d.size()-evidence.MaxRecent)
	if _, err := r.Check(keys, &recent); err != nil {
		t.Error(err)
	}
	if _, err := r.Check(keys, &old); !errors.Is(err, evidence.ErrNoProof) {
		t.Errorf("without a proof: %v", err)
	}
	r.Earlier = []evidence.Step{{From: 20, Hashes: d.continues(20, d.size())}}
	if _, err := r.Check(keys, &old); err != nil {
		t.Error(err)
	}
	ahead := evidence.Checkpoint{Origin: origin, Size: d.size() + 1}
	if _, err := r.Check(keys, &ahead); !errors.Is(err, evidence.ErrNoProof) {
		t.Errorf("a newer checkpoint: %v", err)
	}
	foreign := evidence.Checkpoint{Origin: "bahi/other", Size: 20, Root: old.Root}
	if _, err := r.Check(keys, &foreign); !errors.Is(err, evidence.ErrContradiction) {
		t.Errorf("another ledger's: %v", err)
	}
}

func TestParseReceiptRefuses(t *testing.T) {
	t.Parallel()
	good, err := frozenDrive(t, 1).receipt(8).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no JSON":         "a",
		"no receipt":      "{}",
		"another format":  strings.Replace(string(good), "receipt/1", "receipt/2", 1),
		"what follows":    string(good) + "{}",
		"unknown members": strings.Replace(string(good), `"format"`, `"name": "x", "format"`, 1),
		"a short hash":    `{"format":"bahi-freeze-receipt/1","recent":{"leaves":["AAAA"]}}`,
		"too many leaves": fmt.Sprintf(`{"format":"bahi-freeze-receipt/1","recent":{"leaves":[%q%s]}}`, evidence.Hash{}, strings.Repeat(`,"`+evidence.Hash{}.String()+`"`, evidence.MaxRecent)),
	} {
		if _, err := evidence.ParseReceipt([]byte(text)); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that a stranger sends as a receipt makes the check fail in another way than
// by an error, and none holds that is not the one signed.
func FuzzReceipt(f *testing.F) {
	d := frozenDrive(f, 2)
	good, err := d.receipt(d.size()).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"bahi-freeze-receipt/1","commits":[{"commit":1,"stored":"AA==","proof":[]}]}`))
	kept := d.tree(3)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := evidence.ParseReceipt(text)
		if err != nil {
			return
		}
		if found, err := r.Check(keys, &kept); err == nil && (found.Claims.People != 2 || found.Claims.Freeze != freeze) {
			t.Errorf("a forged receipt holds: %+v", found)
		}
	})
}

func BenchmarkReceiptCheck(b *testing.B) {
	d := frozenDrive(b, 2)
	d.register(1000)
	r := d.receipt(d.size())
	kept := d.tree(3)
	for b.Loop() {
		if _, err := r.Check(keys, &kept); err != nil {
			b.Fatal(err)
		}
	}
}
