package access_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// docs/NOTICES.md shows the lines of a portal; those that are written are the same.
func TestPortalsAsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "NOTICES.md"))
	if err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	key := newWho(t, "", "").public
	if err := (access.NATSConfig{Portals: []access.Portal{{Name: "portal-208", District: 208, NKey: key}}}).Write(&config); err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`nkey: U\w+`)
	for _, block := range []string{"exports", "account"} {
		_, lines, found := strings.Cut(string(page), "```conf "+block+"\n")
		lines, _, _ = strings.Cut(lines, "```")
		if !found || !strings.Contains(config.String(), shown.ReplaceAllString(lines, "nkey: "+key)) {
			t.Errorf("the block %s of the document is not in\n%s", block, config.String())
		}
	}
}

func TestPortalsThatAreRefused(t *testing.T) {
	t.Parallel()
	aKey := newWho(t, "", "").public
	good := access.Portal{Name: "portal-208", District: 208, NKey: aKey}
	for name, portals := range map[string][]access.Portal{
		"no name":        {{District: 208, NKey: aKey}},
		"another's name": {{Name: "portal.208", District: 208, NKey: aKey}},
		"a wildcard":     {{Name: "*", District: 208, NKey: aKey}},
		"no district":    {{Name: "x", District: 999, NKey: aKey}},
		"no key":         {{Name: "x", District: 208}},
		"a seed":         {{Name: "x", District: 208, NKey: "SU" + aKey[2:]}},
		"twice":          {good, good},
	} {
		var config strings.Builder
		if err := (access.NATSConfig{Portals: portals}).Write(&config); err == nil || config.Len() > 0 || strings.Contains(err.Error(), aKey[2:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFirstOfAKindComesByReload: who is the first of its kind on a server that runs
// already, has one reload to wait for.
func TestFirstOfAKindComesByReload(t *testing.T) {
	t.Parallel()
	ledger := newWho(t, "the ledger", "_INBOX")
	config := access.NATSConfig{Listen: "127.0.0.1:-1", StoreDir: t.TempDir(), Ledger: []string{ledger.public}}
	s, path := startServer(t, config)
	url := s.ClientURL()
	h := furnish(t, house{url: url, store: natstest.OpenConfig(t, eventstore.Config{URL: url, Credentials: ledger.file(t)})})
	if _, err := h.intake.CreateConsumer(natstest.Context(t), "NOTICES", jetstream.ConsumerConfig{Durable: "portal-208", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.intake.Publish(natstest.Context(t), "notice.208.told", []byte("x")); err != nil {
		t.Fatal(err)
	}

	portal, operator := newWho(t, "a portal", "_INBOX_portal-208"), newWho(t, "the operator", "_INBOX_operator")
	centres, list := registered(t)
	config.Portals = []access.Portal{{Name: "portal-208", District: 208, NKey: portal.public}}
	config.Operators, config.Centres = []string{operator.public}, list
	writeConfig(t, path, config)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct {
		who
		subject string
	}{
		{portal, "bahi.API.CONSUMER.INFO.NOTICES.portal-208"}, {portal, "bahi.API.CONSUMER.MSG.NEXT.NOTICES.portal-208"},
		{operator, "$JS.API.INFO"}, {operator, "$JS.API.CONSUMER.LIST.NOTICES"},
		{centres[north], "bahi.intake.key"}, {centres[north], "intake.208.208001"},
	} {
		conn, err := ask.connect(t, url)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := conn.Request(ask.subject, nil, natstest.Patience); err != nil {
			t.Errorf("%s gets no answer from %s: %v", ask.name, ask.subject, err)
		} else if strings.Contains(string(answer.Data), `"error"`) {
			t.Errorf("%s gets from %s: %s", ask.name, ask.subject, answer.Data)
		}
	}
}
