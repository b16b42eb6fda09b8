package notices

import (
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

var update = flag.Bool("update", false, "write the golden files and docs/asyncapi.yaml")

// TestEveryKindIsTold: the story's notices, to the letter but for ids and source.
// Their fields are for good.
func TestEveryKindIsTold(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	f.pace.counts = time.Hour // told at the end, all at once
	s := serve(t, f)
	for _, x := range story() {
		submit(t, l, x)
		if due := requestOf(3, 0, "2021-03-05").ID; x.Head().ID == registrationOf(4, 0, "2021-03-05").ID {
			until(t, f, func(p place) bool { return p.Request == due }) // its day has come, before it is decided
		}
	}
	until(t, f, func(p place) bool { return p.isOut(idOf(t, expect(t, l).ids)) })
	s.end(t)

	notices := stored(t, f)
	expect(t, l).compare(t, notices)
	var got strings.Builder
	for _, n := range notices {
		masked := regexp.MustCompile(`"id":"[^"]*","source":"bahi/[0-9a-f]{8}"`).ReplaceAll(n.raw, []byte(`"id":"…","source":"…"`))
		fmt.Fprintf(&got, "%s %s\n", n.subject, masked)
	}
	golden(t, "testdata/story.txt", got.String())
}

// golden holds a text against a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is otherwise; if that is meant, run the test with -update. It is now\n%s", path, got)
	}
}

// TestNothingPersonalIsTold: no notice, with all its headers, holds what people told
// about themselves, a token, an officer, a centre or a batch; nor does the log.
func TestNothingPersonalIsTold(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	log := &logged{}
	f := openFollower(t, l, Options{Log: log.logger()})
	s := serve(t, f)
	submit(t, l, story()...)
	e := expect(t, l)
	e.told(t, f)
	s.end(t)

	secrets := append([]string{}, canaries...)
	for n := 1; n <= 4; n++ {
		r := registrationOf(n, 208, "2021-01-16")
		secrets = append(secrets, string(r.Person), r.Mobile, r.PhotoID.Number, r.ID.String())
	}
	for c, err := range l.Store().Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range c.Entries {
			secrets = append(secrets, written(entry.Submission[:])...)
			if registered, ok := entry.Event.(domain.PersonRegistered); ok {
				secrets = append(secrets, written(registered.Person[:])...)
			}
		}
	}
	var all strings.Builder
	for _, n := range stored(t, f) {
		all.WriteString(n.subject)
		all.Write(n.raw)
		for name, values := range n.headers {
			all.WriteString(name + strings.Join(values, ""))
		}
	}
	all.WriteString(log.String())
	for _, secret := range secrets {
		if secret != "" && strings.Contains(all.String(), secret) {
			t.Errorf("%q is told", secret)
		}
	}
	if len(secrets) < 30 || all.Len() < 5000 {
		t.Errorf("%d secrets were looked for in %d bytes", len(secrets), all.Len())
	}
}

// written is how bytes may stand in a text.
func written(b []byte) []string {
	if strings.Trim(string(b), "\x00") == "" {
		return nil
	}
	return []string{string(b), hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b)}
}
