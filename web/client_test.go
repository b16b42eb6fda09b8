package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bahi/domain"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/projections"
)

const someToken = "a-token-of-somebody-who-may-do-little"

func TestDial(t *testing.T) {
	t.Parallel()
	for _, server := range []string{
		"", "127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://user:word@127.0.0.1", "http://127.0.0.1?x=y", "http://127.0.0.1/#x", "http://[::1", "nats://127.0.0.1:4222",
	} {
		if _, err := Dial(server, someToken); err == nil {
			t.Errorf("%q is taken for a service", server)
		}
	}
	for _, token := range []string{"", "two words", "line\nbreak", "नमस्ते"} {
		if _, err := Dial("http://127.0.0.1:8080", token); err == nil || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("the token %q: %v", token, err)
		}
	}
	for _, server := range []string{"http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "https://ledger.example", "http://127.8.9.1"} {
		if _, err := Dial(server, someToken); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	for _, server := range []string{"http://10.0.0.7:8080", "http://ledger.example", "http://localhost.example"} {
		if _, err := Dial(server, someToken); err == nil || !strings.Contains(err.Error(), "in the clear") {
			t.Errorf("%s: %v", server, err)
		}
		if _, err := Dial(server, someToken, AllowPlainHTTP()); err != nil {
			t.Errorf("%s, allowed: %v", server, err)
		}
	}
}

// calls are every call of a client, each about something personal where it can be.
func calls(c *Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Submit": func(ctx context.Context) error {
			_, err := c.Submit(ctx, []domain.Submission{registrationOf(1)})
			return err
		},
		"Person": func(ctx context.Context) error {
			_, err := c.Person(ctx, referenceOf(1), ledger.Reader{Officer: "officer-7", Purpose: "medical"})
			return err
		},
		"Info":   func(ctx context.Context) error { _, err := c.Info(ctx); return err },
		"Verify": func(ctx context.Context) error { _, err := c.Verify(ctx, nil); return err },
		"Freeze": func(ctx context.Context) error { _, err := c.Freeze(ctx, freezeOf(1)); return err },
		"Explain": func(ctx context.Context) error {
			return c.Explain(ctx, projections.ExplainQuery{District: 208}, func(projections.Movement) error { return nil })
		},
		"DiffCounts": func(ctx context.Context) error {
			_, err := c.DiffCounts(ctx, projections.CountsQuery{}, at("2021-01-16"))
			return err
		},
		"WatchRebuild": func(ctx context.Context) error { _, err := c.WatchRebuild(ctx, "people", nil); return err },
		"AuditList": func(ctx context.Context) error {
			for _, err := range c.AuditList(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Replay": func(ctx context.Context) error {
			for _, err := range c.Replay(ctx, ledger.ReplayQuery{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// eachCall calls everything and holds the errors to what no error may say.
func eachCall(t *testing.T, c *Client, ctx context.Context, check func(name string, err error)) {
	t.Helper()
	for name, call := range calls(c) {
		err := call(ctx)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, secret := range []string{someToken, string(referenceOf(1)), "/v1/", "Canary"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds %q: %v", name, secret, err)
			}
		}
		check(name, err)
	}
}

func dialTest(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := Dial(server.URL, someToken)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	c, err := Dial(fmt.Sprintf("http://127.0.0.1:%d", natstest.Ports(t, 1)[0]), someToken)
	if err != nil {
		t.Fatal(err)
	}
	eachCall(t, c, t.Context(), func(name string, err error) {
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "bahi serve") || errors.Is(err, ledger.ErrUndecided) {
			t.Errorf("%s: %v", name, err)
		}
	})
}

func TestAnotherServerAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a page":  func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"no code": func(w http.ResponseWriter, _ *http.Request) { (&Problem{Status: 500}).write(w) },
		"a redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusTemporaryRedirect)
		},
	} {
		eachCall(t, dialTest(t, h), t.Context(), func(call string, err error) {
			if !strings.Contains(err.Error(), "is not Bahi") {
				t.Errorf("%s, %s: %v", name, call, err)
			}
		})
	}
}

// TestAnswersThatBreakOff are never taken for whole ones, and a bundle whose
// answer broke off is undecided.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Canary") },
		"hung up": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		},
		"half": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"person":"`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		c := dialTest(t, h)
		for call, do := range calls(c) {
			if name == "nothing" && (call == "Replay" || call == "AuditList" || call == "Explain") {
				continue // an empty history, and a day on which nothing moved
			}
			err := do(t.Context())
			if err == nil || strings.Contains(err.Error(), "Canary") || strings.Contains(err.Error(), someToken) {
				t.Errorf("%s, %s: %v", name, call, err)
			}
			if call == "Submit" && !errors.Is(err, ledger.ErrUndecided) {
				t.Errorf("%s, %s: %v is not undecided", name, call, err)
			}
		}
	}
}

func TestProblemsBecomeErrors(t *testing.T) {
	t.Parallel()
	for _, condition := range conditions {
		p, known := problemOf(fmt.Errorf("somewhere: %w", condition.err))
		if !known || p.Code != condition.code || p.GetStatus() != condition.status {
			t.Errorf("%v becomes %d %s", condition.err, p.GetStatus(), p.Code)
		}
		answered := dialTest(t, func(w http.ResponseWriter, _ *http.Request) { p.write(w) })
		streamed := dialTest(t, func(w http.ResponseWriter, r *http.Request) {
			out := newLines(&exchange{ResponseWriter: w, control: http.NewResponseController(w), patience: time.Minute})
			out.begin()
			out.end(p)
		})
		_, err := answered.Info(t.Context())
		if !errors.Is(err, condition.err) && p.Code != codeStopping && p.Code != codeUnusableView {
			t.Errorf("%s comes back as %v", p.Code, err)
		}
		_, err = streamed.Verify(t.Context(), nil)
		var problem *Problem
		if !errors.As(err, &problem) || problem.Code != p.Code || problem.Error() == "" {
			t.Errorf("%s at the end of a stream comes back as %v", p.Code, err)
		}
	}
	discarded, _ := problemOf(fmt.Errorf("rebuild people: %w", projections.ErrDiscarded))
	if discarded.Code != "rebuild_stopped" || !strings.Contains(discarded.Error(), "thrown away") || strings.Contains(discarded.Error(), "stays") {
		t.Errorf("a rebuild that somebody aborted becomes %s: %v", discarded.Code, discarded)
	}
	rejection := &domain.Rejection{Code: domain.CodeAuthorityKeyMissing, Field: "mode", Message: "adopt a key first"}
	p, _ := problemOf(fmt.Errorf("somewhere: %w", rejection))
	c := dialTest(t, func(w http.ResponseWriter, _ *http.Request) { p.write(w) })
	var back *domain.Rejection
	if _, err := c.Freeze(t.Context(), freezeOf(1)); !errors.As(err, &back) || *back != *rejection {
		t.Errorf("a rejection comes back as %v", err)
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	c := dialTest(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	c.silent = 20 * time.Millisecond
	if _, err := c.Verify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "said nothing") {
		t.Errorf("a stream that says nothing: %v", err)
	}
	c.silent = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	eachCall(t, c, ctx, func(name string, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// TestProgress follows a piece of work whose progress is told between two ticks,
// and twice.
func TestProgress(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	c := dialTest(t, func(w http.ResponseWriter, r *http.Request) {
		out := newLines(&exchange{ResponseWriter: w, control: http.NewResponseController(w), patience: time.Minute})
		err := work(r.Context(), out, func(_ context.Context, tell func(projections.Progress)) (ledger.VerifyReport, error) {
			tell(projections.Progress{Done: 1, Total: 3})
			tell(projections.Progress{Done: 2, Total: 3})
			<-proceed
			return ledger.VerifyReport{Commits: 3}, nil
		})
		if err != nil {
			t.Error(err)
		}
		out.end(nil)
	})
	var told []uint64
	report, err := c.Verify(t.Context(), func(done, total uint64) {
		if done == 1 && len(told) == 0 {
			return // a tick came between the two
		}
		told = append(told, done, total)
		close(proceed)
	})
	if err != nil || report.Commits != 3 || fmt.Sprint(told) != "[2 3]" {
		t.Errorf("told %v, report %+v, %v", told, report, err)
	}
}

func TestBundleBounds(t *testing.T) {
	t.Parallel()
	c := dialTest(t, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	if v, err := c.Submit(t.Context(), nil); v != nil || err != nil {
		t.Errorf("nothing: %v %v", v, err)
	}
	if _, err := c.Submit(t.Context(), make([]domain.Submission, ledger.MaxBundle+1)); err == nil {
		t.Error("too many are taken")
	}
}

// TestServerSentEvents gives the lines of a long piece of work to who asks for events.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	out := newLines(&exchange{ResponseWriter: recorder, control: http.NewResponseController(recorder), patience: time.Minute})
	out.events = true
	err := work(t.Context(), out, func(context.Context, func(projections.Progress)) (projections.Rebuilt, error) {
		return projections.Rebuilt{View: "people", Compared: projections.Equal, Swapped: true}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out.end(nil)
	want := `data: {"result":{"view":"people","through":0,"events":0,"seconds":0,"compared":"equal","swapped":true}}` + "\n\n"
	if got := recorder.Body.String(); got != want || recorder.Header().Get("Content-Type") != eventsType {
		t.Errorf("%s %q", recorder.Header(), got)
	}
}
