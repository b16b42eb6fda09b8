package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// A trace is a string of bytes by which somebody could be known, or be looked up,
// or that would open what is sealed about them.
type trace struct {
	kind  string
	bytes string
}

// The kinds of traces that a person leaves by registering and one dose. With the
// cohort key as text they are ten.
const (
	inClear            = "in clear"                 // a name, number or text as it was told
	sealedRegistration = "sealed registration"      // under the cohort's key
	sealedDose         = "sealed dose"              // likewise
	personToken        = "person token"             // of the reference number
	mobileToken        = "mobile token"             // enumerable by whoever has the pepper
	photoIDToken       = "photo-ID token"           // likewise, with more patience
	contentDigest      = "digest of a registration" // of all that is told about a person
	submissionDigest   = "digest of a submission"   // with its id and time
	cohortKey          = "cohort key"
)

// tail cuts what every trace of tokens loses to prefix compression: in a table,
// neighbouring keys share their first bytes.
func tail(b []byte) string { return string(b[max(0, len(b)-12):]) }

// tracesOf returns what registration and first dose of the fixture's person n leave,
// as the ledger and the vault have it before any freeze.
func tracesOf(t testing.TB, l *Ledger, people ...domain.Registration) (traces []trace) {
	t.Helper()
	byToken := map[domain.PersonToken]bool{}
	add := func(kind string, bytes ...string) {
		for _, b := range bytes {
			traces = append(traces, trace{kind, b})
		}
	}
	cohorts := map[domain.Cohort]bool{}
	for _, r := range people {
		r := domain.Normalise(r).(domain.Registration)
		token := l.vault.PersonToken(r.Person)
		byToken[token] = true
		mobile, photo, content := l.vault.MobileToken(r.Mobile), l.vault.PhotoIDToken(r.PhotoID), l.vault.RegistrationDigest(r)
		add(inClear, r.Name, r.Mobile, r.PhotoID.Number, string(r.Person))
		add(personToken, tail(token[:]))
		add(mobileToken, tail(mobile[:]))
		add(photoIDToken, tail(photo[:]))
		add(contentDigest, tail(content[:]))
	}
	for c, err := range l.store.Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Entries {
			switch event := e.Event.(type) {
			case domain.PersonRegistered:
				if byToken[event.Person] {
					add(sealedRegistration, tail(event.Sealed))
					add(submissionDigest, tail(e.Digest[:]))
					cohorts[event.Cohort] = true
				}
			case domain.DoseAdministered:
				if byToken[event.Person] && len(event.Sealed) > 0 {
					add(sealedDose, tail(event.Sealed))
				}
			}
		}
	}
	for c := range cohorts {
		key := keyOf(t, l, c)
		add(cohortKey, string(key))
		// The sealed list of a handover has keys in base64.
		add(cohortKey+" as text", base64.StdEncoding.EncodeToString(key), hex.EncodeToString(key))
	}
	return traces
}

// keyOf reads a cohort's key out of the key file, as a thief of it would.
func keyOf(t testing.TB, l *Ledger, c domain.Cohort) []byte {
	t.Helper()
	if s := l.vault.State(c); s != vault.KeyLive {
		t.Fatalf("the key of %s is %s", c, s)
	}
	file, err := os.ReadFile(filepath.Join(l.config.Keys, "cohorts.keys"))
	if err != nil {
		t.Fatal(err)
	}
	for sector := range slices.Chunk(file, 512) {
		if binary.BigEndian.Uint16(sector[12:]) == uint16(c.District) && sector[15] == byte(c.Group) && binary.BigEndian.Uint16(sector[16:]) == c.Generation {
			return sector[32:64]
		}
	}
	t.Fatalf("the key file has no sector of %s", c)
	return nil
}

// findings tells, per kind of trace and place, how many traces were found there.
type findings map[string]map[string]int

// places are where a kind of trace was found, in order.
func (f findings) places(kind string) string {
	return strings.Join(slices.Sorted(maps.Keys(f[kind])), ", ")
}

// hunt reads every file below dir whole and looks for the traces at every byte.
func hunt(t testing.TB, dir string, traces []trace) findings {
	t.Helper()
	const window = 8
	byStart := map[uint64][]trace{}
	var likely [1 << 16]bool // by the first two bytes: most windows end here
	for _, x := range traces {
		if len(x.bytes) < window {
			t.Fatalf("a trace of %d bytes is too short to be told from chance", len(x.bytes))
		}
		start := binary.LittleEndian.Uint64([]byte(x.bytes))
		byStart[start] = append(byStart[start], x)
		likely[uint16(start)] = true
	}
	found := map[string]map[string]map[string]bool{}
	eachFile(t, dir, func(place string, content []byte) {
		for i := 0; i+window <= len(content); i++ {
			if !likely[binary.LittleEndian.Uint16(content[i:])] {
				continue
			}
			for _, x := range byStart[binary.LittleEndian.Uint64(content[i:])] {
				if i+len(x.bytes) > len(content) || string(content[i:i+len(x.bytes)]) != x.bytes {
					continue
				}
				if found[x.kind] == nil {
					found[x.kind] = map[string]map[string]bool{}
				}
				if found[x.kind][place] == nil {
					found[x.kind][place] = map[string]bool{}
				}
				found[x.kind][place][x.bytes] = true
			}
		}
	})
	counted := findings{}
	for kind, places := range found {
		counted[kind] = map[string]int{}
		for place, distinct := range places {
			counted[kind][place] = len(distinct)
		}
	}
	return counted
}

// eachFile reads every file below dir, whatever it is, with a name for its place:
// its stream, or else the first two names of its path. Files that a compaction
// removes meanwhile are passed over; those that replace them are read in another
// round, until a round finds nothing new.
func eachFile(t testing.TB, dir string, read func(place string, content []byte)) {
	t.Helper()
	known, files := map[string]bool{}, 0
	for again := true; again; {
		again = false
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				again = true
				return nil
			}
			if err != nil || d.IsDir() || known[path] {
				return err
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				again = true
				return nil
			}
			if err != nil {
				return err
			}
			known[path] = true
			files++
			relative, err := filepath.Rel(dir, path)
			read(placeOf(relative), content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Fatalf("only %d files were read", files)
	}
}

func placeOf(path string) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	if i := slices.Index(parts, "streams"); i >= 0 && i+1 < len(parts) {
		return parts[i+1]
	}
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// wantFound fails unless each kind of trace is found exactly where it is allowed to
// be, and there in full. The audit, which names whom an officer read by their
// tokens, is everybody's.
func wantFound(t testing.TB, when string, got findings, traces []trace, allowed map[string]string) {
	t.Helper()
	delete(got[personToken], "AUDIT")
	distinct := map[string]map[string]bool{}
	for _, x := range traces {
		if distinct[x.kind] == nil {
			distinct[x.kind] = map[string]bool{}
		}
		distinct[x.kind][x.bytes] = true
	}
	for kind, all := range distinct {
		if places := got.places(kind); places != allowed[kind] {
			t.Errorf("%s: %s found in [%s], allowed in [%s]", when, kind, places, allowed[kind])
		}
		for place, n := range got[kind] {
			if n != len(all) {
				t.Errorf("%s: %d of %d times %s found in %s", when, n, len(all), kind, place)
			}
		}
	}
}

// readable is where the traces of people of open cohorts lie, once the views are
// flushed.
var readable = map[string]string{
	sealedRegistration: "LEDGER, data/people",
	sealedDose:         "LEDGER, data/people",
	personToken:        "LEDGER, data/people, data/register",
	mobileToken:        "data/register",
	photoIDToken:       "data/register",
	contentDigest:      "data/register",
	submissionDigest:   "LEDGER, data/register",
	cohortKey:          "keys/cohorts.keys",
}

// forgotten is all that may be left of frozen people, and where: ciphertext
// without a key, tokens of history, and the set of photo IDs.
var forgotten = map[string]string{
	sealedRegistration: "LEDGER",
	sealedDose:         "LEDGER",
	personToken:        "LEDGER, data/people, data/register",
	photoIDToken:       "LEDGER, data/register",
	submissionDigest:   "LEDGER, data/register",
}
