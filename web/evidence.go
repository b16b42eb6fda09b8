package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bahi/domain"
	"bahi/evidence"
	"bahi/ledger"
	"bahi/projections"
)

// evidenceText is a piece of evidence as it is kept in a file. It is passed on as
// text, so that what was signed arrives byte for byte.
type evidenceText struct {
	Evidence string `json:"evidence" doc:"Content of the file: a signed note, or the JSON of a proof or a receipt"`
}

func (s *Server) registerEvidence() {
	answer(s, huma.Operation{
		OperationID: opStatement, Method: http.MethodGet, Path: "/v1/districts/{code}/statement", Tags: tags("Evidence"),
		Summary:     "A district's counts as a signed statement",
		Description: "A signed note that names the tree of exactly the commits that were counted, and the rule. Whoever has the commits can count again.",
	}, s.statement)

	answer(s, huma.Operation{
		OperationID: opProof, Method: http.MethodGet, Path: "/v1/ledger/proof", Tags: tags("Evidence"),
		Summary:     "Prove that a commit is in the ledger, or that the ledger continues an earlier checkpoint",
		Description: "With commit: an inclusion proof. With from, the size of an earlier checkpoint: a consistency proof. Both as RFC 6962 has them, to a signed checkpoint.",
		Responses:   s.problems(http.StatusNotFound),
	}, s.proof)
}

func (s *Server) statement(ctx context.Context, in *countsInput) (evidenceText, error) {
	q, err := in.query(exchangeOf(ctx).who)
	if err != nil {
		return evidenceText{}, err
	}
	if err := s.tabled(ctx, q); err != nil {
		return evidenceText{}, err
	}
	note, err := s.ledger.CountStatement(ctx, q)
	return evidenceText{string(note)}, err
}

type proofInput struct {
	Commit string `query:"commit" doc:"Sequence of the commit to prove" example:"812"`
	From   string `query:"from" doc:"Size of the earlier checkpoint" example:"700"`
}

func (s *Server) proof(ctx context.Context, in *proofInput) (evidenceText, error) {
	if (in.Commit == "") == (in.From == "") {
		return evidenceText{}, newProblem(http.StatusBadRequest, codeBadRequest, "give either commit or from")
	}
	prove, field, text := s.ledger.Prove, "commit", in.Commit
	if in.From != "" {
		prove, field, text = s.ledger.ProveFrom, "from", in.From
	}
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		return evidenceText{}, wrong(field, errNumber)
	}
	p, err := prove(ctx, n)
	if err != nil {
		return evidenceText{}, err
	}
	b, err := json.Marshal(p)
	return evidenceText{string(b)}, err
}

var errNumber = errors.New("a whole number of commits is asked for")

type receiptInput struct {
	ID   string `path:"id" doc:"Id of the freeze" example:"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"`
	From string `query:"from" doc:"Size of an earlier checkpoint that the receipt is to be seen to continue" example:"700"`
}

func (s *Server) receipt(ctx context.Context, in *receiptInput) (evidenceText, error) {
	id, err := domain.ParseUUID(in.ID)
	if err != nil {
		return evidenceText{}, wrong("id", err)
	}
	if err := s.maySeeFreeze(ctx, id); err != nil {
		return evidenceText{}, err
	}
	var from []uint64
	if in.From != "" {
		n, err := strconv.ParseUint(in.From, 10, 53)
		if err != nil {
			return evidenceText{}, wrong("from", errNumber)
		}
		from = append(from, n)
	}
	receipt, err := s.ledger.Receipt(ctx, id, from...)
	if err != nil {
		return evidenceText{}, err
	}
	b, err := receipt.Marshal()
	return evidenceText{string(b)}, err
}

type verifyLedgerInput struct {
	Checkpoint string `query:"checkpoint" maxLength:"4096" doc:"A signed checkpoint that was kept, to hold the ledger to"`
	Statement  string `query:"statement" maxLength:"4096" doc:"A signed count statement that was kept, to count again"`
}

func (s *Server) verifyLedger(hctx huma.Context, in *verifyLedgerInput) {
	s.working(hctx, func(ctx context.Context, out *lines) error {
		return work(ctx, out, func(ctx context.Context, tell func(projections.Progress)) (ledger.VerifyReport, error) {
			kept := ledger.Kept{Checkpoint: bytesOf(in.Checkpoint), Statement: bytesOf(in.Statement)}
			return s.ledger.VerifyKept(ctx, kept, func(done, total uint64) { tell(projections.Progress{Done: done, Total: total}) })
		})
	})
}

// bytesOf returns nil for an empty text.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// Prove shows that a commit is in the ledger, as [ledger.Ledger.Prove] does.
func (c *Client) Prove(ctx context.Context, commit uint64) (evidence.Proof, error) {
	return c.proof(ctx, "commit", commit)
}

// ProveFrom shows that the ledger continues an earlier checkpoint, as
// [ledger.Ledger.ProveFrom] does.
func (c *Client) ProveFrom(ctx context.Context, size uint64) (evidence.Proof, error) {
	return c.proof(ctx, "from", size)
}

func (c *Client) proof(ctx context.Context, name string, n uint64) (evidence.Proof, error) {
	text, err := call[evidenceText](ctx, c, callPatience, request{
		method: http.MethodGet, path: "/v1/ledger/proof", query: url.Values{name: {strconv.FormatUint(n, 10)}},
	})
	if err != nil {
		return evidence.Proof{}, err
	}
	return evidence.ParseProof([]byte(text.Evidence))
}

// Receipt returns the signed receipt of a freeze, as [ledger.Ledger.Receipt] does.
// It can be seen to continue one earlier size.
func (c *Client) Receipt(ctx context.Context, id domain.UUID, from ...uint64) (evidence.Receipt, error) {
	query := url.Values{}
	if len(from) > 0 {
		query.Set("from", strconv.FormatUint(from[0], 10))
	}
	text, err := call[evidenceText](ctx, c, callPatience, request{
		method: http.MethodGet, path: "/v1/freezes/" + id.String() + "/receipt", query: query,
	})
	if err != nil {
		return evidence.Receipt{}, err
	}
	return evidence.ParseReceipt([]byte(text.Evidence))
}

// CountStatement answers a count query as a signed note, as
// [ledger.Ledger.CountStatement] does.
func (c *Client) CountStatement(ctx context.Context, q projections.CountsQuery) ([]byte, error) {
	code, query := countsPath(q)
	text, err := call[evidenceText](ctx, c, callPatience, request{
		method: http.MethodGet, path: "/v1/districts/" + code + "/statement", query: query,
	})
	return []byte(text.Evidence), err
}

// Verify recomputes the whole ledger, as [ledger.Ledger.Verify] does.
func (c *Client) Verify(ctx context.Context, tell func(done, total uint64)) (ledger.VerifyReport, error) {
	return c.VerifyKept(ctx, ledger.Kept{}, tell)
}

// VerifyKept recomputes the whole ledger and holds it to what was kept, as
// [ledger.Ledger.VerifyKept] does.
func (c *Client) VerifyKept(ctx context.Context, kept ledger.Kept, tell func(done, total uint64)) (ledger.VerifyReport, error) {
	query := url.Values{}
	set(query, "checkpoint", string(kept.Checkpoint))
	set(query, "statement", string(kept.Statement))
	return await[ledger.VerifyReport](ctx, c, request{method: http.MethodPost, path: "/v1/ledger/verify", query: query}, func(p projections.Progress) {
		if tell != nil {
			tell(p.Done, p.Total)
		}
	})
}
