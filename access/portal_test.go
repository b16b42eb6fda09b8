package access_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bahi/access"
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
