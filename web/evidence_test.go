package web

import (
	"errors"
	"testing"
	"time"

	"bahi/domain"
	"bahi/evidence"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// An auditor's client gets evidence that holds with the public key.
func TestEvidenceOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t, vault.RoleAuditor)
	ctx := t.Context()
	freeze := domain.Freeze{
		Heading: domain.Heading{ID: idOf(9, 1), At: time.Date(2021, 3, 4, 12, 0, 0, 0, time.UTC)}, District: 208, Mode: domain.Erase, Order: "DL/2021/117", By: "authority",
	}
	if _, err := s.client(t, vault.RoleAuthority).Freeze(ctx, freeze); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := evidence.ParseKeys(info.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := c.Prove(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	head, err := proof.Check(keys, nil)
	if err != nil {
		t.Fatal(err)
	}
	earlier, err := s.ledger.ProveFrom(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	same, err := c.ProveFrom(ctx, 2)
	if err != nil || len(same.Hashes) != len(earlier.Hashes) || same.From != 2 {
		t.Errorf("%+v %v", same, err)
	}
	receipt, err := c.Receipt(ctx, freeze.ID, 2)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := receipt.Check(keys, &head); err != nil || found.Claims.Freeze != freeze.ID {
		t.Errorf("%+v %v", found, err)
	}
	statement, err := c.CountStatement(ctx, projections.CountsQuery{District: 208})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenStatement(statement, keys); err != nil {
		t.Error(err)
	}
	kept := ledger.Kept{Checkpoint: []byte(proof.Checkpoint), Statement: statement}
	if r, err := c.VerifyKept(ctx, kept, nil); err != nil || !r.OK() || r.Root != head.Root.String() {
		t.Errorf("%+v %v", r, err)
	}
	kept.Statement = append([]byte("x"), statement...)
	if r, err := c.VerifyKept(ctx, kept, nil); err != nil || r.OK() {
		t.Errorf("a statement that was changed: %+v %v", r, err)
	}
	for _, err := range []error{second(c.Prove(ctx, 99)), second(c.ProveFrom(ctx, 99)), second(c.Receipt(ctx, idOf(9, 2)))} {
		if !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("what is not there: %v", err)
		}
	}
	for _, path := range []string{"/v1/ledger/proof", "/v1/ledger/proof?commit=1&from=1", "/v1/ledger/proof?commit=x", "/v1/freezes/x/receipt", "/v1/freezes/" + idOf(9, 1).String() + "/receipt?from=x"} {
		if got := s.ask(t, vault.RoleAuditor, "GET", path, ""); got.status != 400 {
			t.Errorf("%s is answered %d", path, got.status)
		}
	}
}

func second[T any](_ T, err error) error { return err }
