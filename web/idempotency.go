package web

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
)

// An Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) lets a program
// that keeps no ids of its own send a request again. Ids are made of the key, so
// that the ledger knows what it has, for ever and on every node; what is remembered
// here of the last keys only refuses, early, a key that is used for two things.
const keyHeader = "Idempotency-Key"

const (
	minKey       = 8
	maxKey       = 128
	keysKept     = 10_000
	keysKeptTime = 24 * time.Hour
)

// keys remembers the keys of the last requests, by their hash.
type keys struct {
	mu     sync.Mutex
	known  map[[32]byte]*list.Element
	recent *list.List // of *attempt, the latest first
}

func newKeys() *keys { return &keys{known: map[[32]byte]*list.Element{}, recent: list.New()} }

// attempt is the use of a key by who sends requests, and what was sent under it.
type attempt struct {
	who     access.Principal
	key     string // for ids; forgotten when the request ends
	hash    [32]byte
	at      time.Time
	busy    bool
	digest  [32]byte // of the request that was sent under it; zero while nobody knows
	outcome string   // what came of it, where a second time must not do it again
}

// take begins an attempt, or says that one is under way.
func (k *keys) take(who access.Principal, operation, key string) (*attempt, *Problem) {
	hash := sha256.Sum256([]byte(strings.Join(append(owner(who), operation, key), "\x00")))
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if e, ok := k.known[hash]; ok {
		a := e.Value.(*attempt)
		if a.busy {
			return nil, newProblem(http.StatusConflict, codeKeyInUse, "a request under this Idempotency-Key is being answered; try again when it has ended")
		}
		if now.Sub(a.at) > keysKeptTime {
			a.digest, a.outcome = [32]byte{}, ""
		}
		a.who, a.key, a.at, a.busy = who, key, now, true
		k.recent.MoveToFront(e)
		return a, nil
	}
	if k.recent.Len() >= keysKept {
		k.forgetOne()
	}
	a := &attempt{who: who, key: key, hash: hash, at: now, busy: true}
	k.known[hash] = k.recent.PushFront(a)
	return a, nil
}

// forgetOne forgets the oldest attempt that has ended. Connections are fewer than
// keys, so there is one.
func (k *keys) forgetOne() {
	for e := k.recent.Back(); e != nil; e = e.Prev() {
		if a := e.Value.(*attempt); !a.busy {
			k.recent.Remove(e)
			delete(k.known, a.hash)
			return
		}
	}
}

// end lets the key be used again; when nothing came of the request, for another
// content, too.
func (k *keys) end(a *attempt, status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a.busy, a.key = false, ""
	if a.outcome == "" && status >= 400 && status < 500 && status != statusReused {
		a.digest = [32]byte{}
	}
}

// sent notes what was sent, or refuses what is not what was sent before. The
// attempt is the caller's alone as long as it is busy.
func (a *attempt) sent(digest [32]byte) *Problem {
	if a.digest != ([32]byte{}) && a.digest != digest {
		return newProblem(statusReused, codeKeyReused, "another request was sent under this Idempotency-Key; give each request a key of its own")
	}
	a.digest = digest
	return nil
}

// id makes the id of a submission that has none, from 1 for the first line. A nil
// attempt makes none.
func (a *attempt) id(line int) domain.UUID {
	if a == nil {
		return domain.UUID{}
	}
	return formats.ForeignID("http", "idempotency-key", append(owner(a.who), a.key, strconv.Itoa(line))...)
}

// owner names whose key it is. A token that was renewed between two attempts is
// still the same sender.
func owner(who access.Principal) []string {
	return []string{who.Role, strconv.Itoa(int(who.District)), who.Centre, who.Officer}
}

// keyOf reads the header: 8 to 128 visible characters, in double quotes or bare.
func keyOf(r *http.Request) (key string, p *Problem) {
	given := r.Header.Values(keyHeader)
	if len(given) == 0 {
		return "", nil
	}
	key = given[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	strange := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	if len(given) > 1 || len(key) < minKey || len(key) > maxKey || strings.ContainsFunc(key, strange) {
		p = newProblem(http.StatusBadRequest, codeBadRequest, "an Idempotency-Key has 8 to 128 visible characters without quotes and backslashes; a UUID is best")
		p.Field = keyHeader
	}
	return key, p
}

// idempotent lets a request that changes something through once at a time under
// its key, and with the same content only. Submissions see to it themselves, for
// they are not read before they are answered.
func (s *Server) idempotent(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	r, _ := humago.Unwrap(ctx)
	if op.Method != http.MethodPost || r.Header.Get(keyHeader) == "" {
		next(ctx)
		return
	}
	x := exchangeOf(r.Context())
	key, p := keyOf(r)
	if p == nil {
		x.attempt, p = s.keys.take(x.who, op.OperationID, key)
	}
	if p != nil {
		x.refuse(p)
		return
	}
	defer func() { s.keys.end(x.attempt, x.status) }()
	if op.OperationID != opSubmit {
		digest, err := s.digest(r, op.MaxBodyBytes)
		if err == nil {
			p = x.attempt.sent(digest)
		}
		if p != nil {
			x.refuse(p)
			return
		}
	}
	next(ctx)
}

// digest reads the body, which the operation bounds, and leaves it to be read
// again. What is wrong with the body is for the operation to say.
func (s *Server) digest(r *http.Request, most int64) (digest [32]byte, err error) {
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.Path, r.URL.RawQuery} {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		_, _ = io.WriteString(h, part)
	}
	whole := r.Body
	held, err := io.ReadAll(io.LimitReader(whole, max(most, s.limits.json)+1))
	_, _ = h.Write(held)
	rest := io.Reader(whole)
	if err != nil {
		rest = broken{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(held), rest), whole}
	return [32]byte(h.Sum(nil)), err
}

// broken is a body that could not be read on.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
