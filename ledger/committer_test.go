package ledger

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// A foreign commit arrives while a commit is in flight and the next is decided on
// top of it: both are decided again, in their order.
func TestOrderIsKeptOverAConflict(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	intruded := false
	l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		if !intruded {
			intruded = true
			foreign := eventstore.Commit{ID: [16]byte{1}, Entries: []eventstore.Entry{{
				Recorded: at("2021-01-16"), Event: domain.HolderEnrolled{Holder: "people@elsewhere"},
			}}}
			if _, err := l.store.Append(ctx, foreign, expected); err != nil {
				t.Error(err)
			}
		}
		return l.store.Append(ctx, c, expected)
	}
	want(t, submit(t, l, centre,
		registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		doseOf(2, 1, patna, "2021-01-16"),
	), domain.Accepted)
}

// A ledger that closes without time to wait for an append still lets the committer
// end before it lets go of the register.
func TestCloseWithoutTime(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), Config{Data: t.TempDir() + "/data", Keys: t.TempDir() + "/keys", Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	sent, release := make(chan struct{}), make(chan struct{})
	l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		sequence, err := l.store.Append(ctx, c, expected)
		close(sent)
		<-release // the acknowledgement is slow
		return sequence, err
	}
	verdicts := make(chan error, 1)
	go func() {
		_, err := l.Submit(context.Background(), centre, []domain.Submission{registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-01-16")})
		verdicts <- err
	}()
	<-sent
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() {
		for !errors.Is(l.store.CanAppend(), eventstore.ErrClosed) { // which comes when nobody waits any more
			time.Sleep(time.Millisecond)
		}
		close(release)
	}()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if err := <-verdicts; err != nil {
		t.Errorf("what was acknowledged while the ledger closed: %v", err)
	}
}

// What another node has acknowledged is known to a refusal, which no commit fences.
func TestRefusalKnowsWhatAnotherNodeWrote(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	first := openNode(t, url, nil)
	want(t, submit(t, first, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	second := openNode(t, url, first)
	want(t, submit(t, first, centre, registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	want(t, submit(t, second, centre, doseOf(2, 1, muzaffarpur, "2021-01-16")), domain.Accepted)
}

// What bears on another verdict is decided in the sender's order, over districts.
func TestOrderIsKeptOverDistricts(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	first := registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16")
	second := registrationOf(3, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	second.PhotoID = first.PhotoID
	verdicts := submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"), first, second)
	want(t, verdicts[:2], domain.Accepted)
	wantCode(t, verdicts[2], domain.CodePhotoIDTaken)
}

// TestSubmitWhileTheServerIsAway: what is submitted while the server is started again is
// kept until it is back, and while it stays away answered, before long and without a
// word in the log for each try. What was stored as it went is no duplicate.
func TestSubmitWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	options := server.Options{JetStream: true, StoreDir: t.TempDir(), SyncAlways: true}
	s := natstest.Start(t, &options)
	var words syncedBuffer
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", NATS: s.ClientURL(), Log: slog.New(slog.NewTextHandler(&words, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	tries := make(chan struct{}, 1)
	l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		select {
		case tries <- struct{}{}:
		default:
		}
		return l.store.Append(ctx, c, expected)
	}
	l.silence = natstest.Patience
	type answer struct {
		verdicts []domain.Verdict
		err      error
	}
	send := func(n int) <-chan answer {
		got := make(chan answer, 1)
		go func() {
			verdicts, err := l.Submit(t.Context(), centre, []domain.Submission{registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")})
			got <- answer{verdicts, err}
		}()
		return got
	}

	natstest.Stop(s)
	got := send(2)
	for range 3 {
		<-tries
	}
	s = natstest.Start(t, &options) // where it was
	if a := <-got; a.err != nil {
		t.Errorf("while it was started again: %v", a.err)
	}

	again := l.append
	l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		if _, err := l.store.Append(ctx, c, expected); err != nil {
			t.Error(err)
		}
		natstest.Stop(s)
		l.append = again
		return 0, eventstore.ErrUnknownOutcome
	}
	got = send(3)
	for range 2 { // one may be of the time before
		<-tries
	}
	s = natstest.Start(t, &options)
	a := <-got
	if a.err != nil {
		t.Fatalf("stored as it went: %v", a.err)
	}
	want(t, a.verdicts, domain.Accepted)

	natstest.Stop(s)
	l.silence = 0
	if a := <-send(4); !errors.Is(a.err, ErrUndecided) {
		t.Errorf("while it stayed away: %v", a.err)
	}
	if n := strings.Count(words.String(), "cannot be read"); n > 3 {
		t.Errorf("the log says %d times that the ledger cannot be read", n)
	}
	natstest.Start(t, &options)
}
