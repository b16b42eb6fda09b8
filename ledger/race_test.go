package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"bahi/domain"
	"bahi/internal/natstest"
)

// Readers on two nodes ask for people while freezes land. Each reading either
// was recorded before the freeze's barrier and is answered, or is refused: the
// audit never holds a reading of a frozen person after the barrier, and nobody is
// answered whose reading the audit does not hold.
//
// BAHI_RACES sets how many readings race with freezes; `make races` runs 10,000.
func TestReadingsRaceWithFreezesOnTwoNodes(t *testing.T) {
	t.Parallel()
	races := 600
	if s := os.Getenv("BAHI_RACES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		races = n
	}
	const people, readers = 40, 4
	url := natstest.Server(t)
	first := openNode(t, url, nil)
	second := openNode(t, url, first)

	var answered, refused int
	for round := 0; answered+refused < races; round++ {
		a, r := raceOnce(t, first, second, round, people, readers)
		answered, refused = answered+a, refused+r
	}
	t.Logf("%d readings raced: %d recorded before the barrier and answered, %d refused", answered+refused, answered, refused)
	if answered == 0 || refused == 0 {
		t.Error("nothing raced")
	}
	check(t, first)
	check(t, second)
}

// openNode opens a node of the ledger at url; the second shares the first one's
// vault.
func openNode(t *testing.T, url string, first *Ledger) *Ledger {
	t.Helper()
	dir := t.TempDir()
	config := Config{Data: dir + "/data", Keys: dir + "/keys", NATS: url, ReadsPerDay: 1 << 30}
	if first != nil {
		config.vault = first.vault
	}
	l, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

// raceOnce registers people, lets readers on both nodes ask for them, freezes
// them meanwhile, and checks the audit.
func raceOnce(t *testing.T, first, second *Ledger, round, people, readers int) (answered, refused int) {
	t.Helper()
	base := 1_000 * (round + 1)
	tokens := map[domain.PersonToken]bool{}
	for n := base; n < base+people; n++ {
		want(t, submit(t, first, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
		tokens[first.vault.PersonToken(referenceOf(n))] = true
	}
	type answer struct {
		officer string
		token   domain.PersonToken
	}
	var mu sync.Mutex
	var answers []answer
	var begun atomic.Int64
	warm := make(chan struct{}) // closed when enough readings have begun
	enough := int64(10 + rand.IntN(60))
	var group sync.WaitGroup
	for i := range readers {
		node, officer := []*Ledger{first, second}[i%2], fmt.Sprintf("officer-%d-%d", round, i)
		group.Go(func() {
			draw := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			for refusals := 0; refusals < 5; {
				if begun.Add(1) == enough {
					close(warm)
				}
				number := referenceOf(base + draw.IntN(people))
				_, err := node.Person(context.Background(), number, Reader{Officer: officer, Purpose: "verification"})
				mu.Lock()
				switch {
				case err == nil:
					answers = append(answers, answer{officer, first.vault.PersonToken(number)})
				case errors.Is(err, ErrFrozen):
					refused++
					refusals++
				default:
					t.Errorf("a reading: %v", err)
					refusals++
				}
				mu.Unlock()
			}
		})
	}
	<-warm
	order := freezeOf(round+1, muzaffarpur, "2021-03-04")
	order.Mode = domain.Erase
	if _, err := first.Freeze(t.Context(), order); err != nil {
		t.Error(err)
	}
	group.Wait()

	barrier, _, err := first.store.LastBarrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[answer]int{}
	for r, err := range first.store.Audit(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !tokens[r.Person] {
			continue
		}
		if r.Sequence > barrier {
			t.Errorf("round %d: a reading of a frozen person is recorded after the barrier", round)
		}
		recorded[answer{r.Officer, r.Person}]++
	}
	for _, a := range answers {
		if recorded[a]--; recorded[a] < 0 {
			t.Errorf("round %d: a reading was answered that the audit does not hold", round)
		}
	}
	return len(answers), refused
}
