package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bahi/projections"
)

func (s *Server) registerHealth() {
	answer(s, huma.Operation{
		OperationID: opHealth, Method: http.MethodGet, Path: "/healthz", Tags: tags("Operation"),
		Summary:     "Whether the service answers",
		Description: "It says nothing of what the service needs, which starting it anew would not mend: that is readiness.",
	}, func(context.Context, *struct{}) (state, error) { return state{"ok"}, nil })

	answer(s, huma.Operation{
		OperationID: opReady, Method: http.MethodGet, Path: "/readyz", Tags: tags("Operation"),
		Summary: "Whether the service can do all that it is asked for",
		Description: "The ledger can be read and written, the register knows everything that is in it, and every projection can be asked. " +
			"503 not_ready names what is not so. The service looks once a second at most, however often it is asked.",
		Responses: s.problems(http.StatusServiceUnavailable),
	}, s.ready)
}

// state is what anybody may know.
type state struct {
	Status string `json:"status" enum:"ok,ready"`
}

// Unready is a part of the service that is not ready.
type Unready struct {
	Code   string `json:"code" doc:"Stable name of what is the matter" example:"view_rebuilding"`
	View   string `json:"view,omitempty" doc:"Name of the projection, where it is one's"`
	Detail string `json:"detail,omitempty"`
}

const (
	readyPatience = 5 * time.Second
	readyAgain    = time.Second // between two looks
)

// readiness is the last look at whether the ledger is ready. It is shared: who asks
// without a token must not cost the ledger more by asking more often, nor take away
// the answer that somebody else needs.
type readiness struct {
	mu  sync.Mutex // held while somebody looks
	at  time.Time
	not []Unready
}

func (s *Server) ready(ctx context.Context, _ *struct{}) (state, error) {
	if s.draining.Err() != nil {
		return state{}, notReady(unready(errDraining))
	}
	not := s.look(ctx)
	if len(not) > 0 {
		return state{}, notReady(not...)
	}
	return state{"ready"}, nil
}

// look looks, unless somebody just has.
func (s *Server) look(ctx context.Context) []Unready {
	r := &s.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < readyAgain {
		return r.not
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyPatience)
	defer cancel()
	r.not = nil
	for _, err := range s.ledger.Ready(ctx) {
		r.not = append(r.not, unready(err))
	}
	r.at = time.Now()
	return r.not
}

func notReady(not ...Unready) *Problem {
	says := make([]string, len(not))
	for i, u := range not {
		says[i] = u.Detail
	}
	p := newProblem(http.StatusServiceUnavailable, codeNotReady, strings.Join(says, "; "))
	p.NotReady = not
	return p
}

var errDraining = newProblem(http.StatusServiceUnavailable, codeStopping, "the service is shutting down")

// unready tells no more of an error than a problem does, and no numbers of the ledger.
func unready(err error) Unready {
	p, known := problemOf(err)
	if !known && errors.Is(err, context.DeadlineExceeded) {
		p = newProblem(http.StatusGatewayTimeout, codeTimeout, "the ledger did not answer in time")
	}
	u := Unready{Code: p.Code, Detail: p.Error()}
	var folding *projections.FoldingError
	var behind *projections.BehindError
	switch {
	case errors.As(err, &folding):
		u.View, u.Detail = folding.View, fmt.Sprintf("the projection %s is folded anew", folding.View)
		if folding.Total > 0 {
			u.Detail += fmt.Sprintf(", %d %% so far", 100*folding.Done/folding.Total)
		}
	case errors.As(err, &behind):
		u.View, u.Detail = behind.View, fmt.Sprintf("the projection %s is behind the ledger", behind.View)
	}
	return u
}
