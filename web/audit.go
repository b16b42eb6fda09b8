package web

import (
	"context"
	"iter"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bahi/eventstore"
)

func (s *Server) registerAudit() {
	stream(s, huma.Operation{
		OperationID: opAudit, Method: http.MethodGet, Path: "/v1/audit", Tags: tags("Audit"),
		Summary: "Who looked at whose details, when and why, one reading a line, the oldest first",
	}, lineOf[auditLine], func(hctx huma.Context, in *pageInput) {
		s.reading(hctx, func(ctx context.Context, out *lines) error {
			return s.pagedLines(ctx, out, opAudit, *in, func(after uint64) iter.Seq2[numbered, error] {
				return mapped(s.ledger.Store().Audit(ctx, after), func(r eventstore.AuditRead) numbered { return auditLineOf(r) })
			})
		})
	})

	stream(s, huma.Operation{
		OperationID: opAccessAudit, Method: http.MethodGet, Path: "/v1/audit/access", Tags: tags("Audit"),
		Summary: "Who was let in or shut out: tokens and centres, one event a line, the oldest first",
	}, lineOf[accessLine], func(hctx huma.Context, in *pageInput) {
		s.reading(hctx, func(ctx context.Context, out *lines) error {
			return s.pagedLines(ctx, out, opAccessAudit, *in, func(after uint64) iter.Seq2[numbered, error] {
				return mapped(s.ledger.Store().Access(ctx, after), func(a eventstore.AuditAccess) numbered { return accessLineOf(a) })
			})
		})
	})
}

// numbered is a line that has its place in a stream.
type numbered interface{ place() uint64 }

func (l auditLine) place() uint64  { return l.Sequence }
func (l accessLine) place() uint64 { return l.Sequence }

// pagedLines answers with the lines behind a place, all of them or a page. A page is
// read before it is answered, for its head says whether another follows.
func (s *Server) pagedLines(ctx context.Context, out *lines, operation string, in pageInput, from func(after uint64) iter.Seq2[numbered, error]) error {
	if !in.asked() {
		return listLines(ctx, out, from(0))
	}
	key, err := in.after(operation)
	if err != nil {
		return err
	}
	var after uint64
	if key != "" {
		if after, err = strconv.ParseUint(key, 10, 64); err != nil {
			return wrong("cursor", err)
		}
	}
	page := make([]numbered, 0, in.size())
	for line, err := range from(after) {
		if err != nil {
			return err
		}
		if len(page) == in.size() {
			linkNext(ctx, operation, strconv.FormatUint(page[len(page)-1].place(), 10), in.size())
			break
		}
		page = append(page, line)
	}
	for _, line := range page {
		if err := out.value(line); err != nil {
			return err
		}
	}
	return ctx.Err()
}
