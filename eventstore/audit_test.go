package eventstore_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

func auditRead(n int) eventstore.AuditRead {
	return eventstore.AuditRead{
		At: time.UnixMilli(1_614_859_800_000 + int64(n)).UTC(), Officer: "officer-7", Purpose: "second_dose",
		Person: domain.PersonToken{byte(n), 15: 1}, District: 208,
	}
}

func audited(tb testing.TB, s *eventstore.Store, after uint64) (reads []eventstore.AuditRead) {
	tb.Helper()
	for r, err := range s.Audit(tb.Context(), after) {
		if err != nil {
			tb.Fatal(err)
		}
		reads = append(reads, r)
	}
	return reads
}

func TestAudit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := natstest.OpenDir(t, dir)
	if got := audited(t, s, 0); len(got) != 0 {
		t.Errorf("nobody has read anything, but %v", got)
	}
	if barrier, order, err := s.LastBarrier(t.Context()); barrier != 0 || order != 0 || err != nil {
		t.Errorf("no barrier, but %d, %d, %v", barrier, order, err)
	}
	var want []eventstore.AuditRead
	record := func(n int, barrier, sequence uint64) {
		t.Helper()
		if err := s.AppendRead(t.Context(), auditRead(n), barrier); err != nil {
			t.Fatal(err)
		}
		r := auditRead(n)
		r.Sequence = sequence
		want = append(want, r)
	}
	record(1, 0, 1)
	record(2, 0, 2)
	barrier, err := s.AppendBarrier(t.Context(), 17)
	if err != nil || barrier != 3 {
		t.Fatalf("barrier %d, %v", barrier, err)
	}
	for _, known := range []uint64{0, 2, 4} {
		if err := s.AppendRead(t.Context(), auditRead(9), known); !errors.Is(err, eventstore.ErrBarrier) {
			t.Errorf("a read that knows barrier %d of 3: %v", known, err)
		}
	}
	record(3, barrier, 4)
	record(4, barrier, 5)
	if got, order, err := s.LastBarrier(t.Context()); got != 3 || order != 17 || err != nil {
		t.Errorf("last barrier %d, order %d, %v", got, order, err)
	}
	if again, err := s.AppendBarrier(t.Context(), 17); err != nil || again != 6 {
		t.Errorf("the same barrier again: %d, %v", again, err)
	}
	if err := s.AppendRead(t.Context(), auditRead(9), barrier); !errors.Is(err, eventstore.ErrBarrier) {
		t.Errorf("behind the second barrier: %v", err)
	}
	record(5, 6, 7)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = natstest.OpenDir(t, dir)
	if got := audited(t, s, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("recorded\n%v\nwant\n%v", got, want)
	}
	if got := audited(t, s, 4); !reflect.DeepEqual(got, want[3:]) {
		t.Errorf("behind 4\n%v\nwant\n%v", got, want[3:])
	}
	if info, err := s.Info(t.Context()); err != nil || info.Audited != 7 || info.Commits != 0 {
		t.Errorf("info says %+v, %v", info, err)
	}
}

// TestAuditOfQuarantine: a row of what lies in quarantine may name nobody by number.
func TestAuditOfQuarantine(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	var want []eventstore.AuditRead
	for n, person := range []domain.PersonToken{{1}, {}} {
		r := auditRead(n)
		r.Person, r.Item = person, domain.UUID{7}
		if err := s.AppendRead(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
		r.Sequence = uint64(n + 1)
		want = append(want, r)
	}
	if got := audited(t, s, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("recorded\n%v\nwant\n%v", got, want)
	}
}

func TestAuditRefuses(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	long, torn := auditRead(1), auditRead(1)
	long.Officer, torn.Purpose = strings.Repeat("x", 65), "\xff"
	for _, r := range []eventstore.AuditRead{long, torn} {
		if err := s.AppendRead(t.Context(), r, 0); err == nil {
			t.Errorf("recorded %+v", r)
		}
	}
	if got := audited(t, s, 0); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

// TestBarrierRace: of reads on several nodes that race with a freeze, each was
// either recorded before the barrier, or refused.
func TestBarrierRace(t *testing.T) {
	t.Parallel()
	const nodes, readers = 2, 4
	url := natstest.Server(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted, refused := 0, 0
	started := make(chan struct{}, nodes*readers)
	for range nodes {
		s := natstest.OpenConfig(t, eventstore.Config{URL: url})
		for range readers {
			wg.Go(func() {
				for n := 0; ; n++ {
					err := s.AppendRead(t.Context(), auditRead(n), 0)
					mu.Lock()
					switch {
					case err == nil:
						accepted++
					case errors.Is(err, eventstore.ErrBarrier):
						refused++
					default:
						t.Error(err)
					}
					mu.Unlock()
					if n == 0 {
						started <- struct{}{}
					}
					if err != nil {
						return
					}
				}
			})
		}
	}
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	for range nodes * readers {
		<-started
	}
	barrier, err := s.AppendBarrier(t.Context(), 1)
	if err != nil {
		t.Error(err)
	}
	wg.Wait()
	reads := audited(t, s, 0)
	if len(reads) != accepted || refused != nodes*readers {
		t.Errorf("%d reads recorded, %d accepted, %d refused", len(reads), accepted, refused)
	}
	if last := reads[len(reads)-1].Sequence; last >= barrier {
		t.Errorf("read %d was recorded behind barrier %d", last, barrier)
	}
}

func TestForeignAudit(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	_, js := client(t, url)
	for _, subject := range []string{"audit.read", "audit.barrier"} {
		if _, err := js.Publish(t.Context(), subject, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	var decode *eventstore.DecodeError
	for _, err := range s.Audit(t.Context(), 0) {
		if !errors.As(err, &decode) || decode.Sequence != 1 || decode.Stream != "AUDIT" {
			t.Errorf("a foreign read: %v", err)
		}
	}
	if _, _, err := s.LastBarrier(t.Context()); !errors.As(err, &decode) || decode.Sequence != 2 {
		t.Errorf("a foreign barrier: %v", err)
	}
}

// Two nodes raise barriers for two orders, the later order's first: the last
// barrier still tells a node to fold through both.
func TestBarriersNeverGoBack(t *testing.T) {
	t.Parallel()
	s, err := eventstore.Open(t.Context(), eventstore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	later, err := s.AppendBarrier(t.Context(), 12)
	if err != nil {
		t.Fatal(err)
	}
	if barrier, err := s.AppendBarrier(t.Context(), 10); err != nil || barrier != later {
		t.Errorf("the earlier order's barrier: %d, %v, want %d", barrier, err, later)
	}
	if _, order, err := s.LastBarrier(t.Context()); err != nil || order != 12 {
		t.Errorf("the last barrier carries order %d (%v), want 12", order, err)
	}
}
