package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoleTokens(t *testing.T) {
	t.Parallel()
	v := open(t)
	seen := map[string]bool{}
	for _, role := range Roles() {
		token, err := v.RoleToken(role)
		if err != nil || len(token) < minRoleToken || seen[token] {
			t.Fatalf("%s: %v", role, err)
		}
		seen[token] = true
		got, ok := v.CheckRoleToken(token)
		if got != role || !ok {
			t.Errorf("the token of %s gives %q", role, got)
		}
		for _, wrong := range []string{"", token + "x", token[1:], strings.ToLower(token), role} {
			if role, ok := v.CheckRoleToken(wrong); ok || role != "" {
				t.Errorf("a wrong token gives %s", role)
			}
		}
	}
	if _, err := v.RoleToken("minister"); err == nil {
		t.Error("an unknown role has a token")
	}
}

func TestRoleTokenFiles(t *testing.T) {
	t.Parallel()
	v := open(t)
	before, _ := v.RoleToken(RoleOfficer)
	v.Close()
	path := filepath.Join(v.dir, "tokens", RoleOfficer)
	if content, err := os.ReadFile(path); err != nil || string(content) != before+"\n" {
		t.Fatalf("the file is not the token: %v", err)
	}
	for _, bad := range []string{"", "\n", "short", strings.Repeat("x", 20) + " " + strings.Repeat("y", 20)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Open(v.dir); err == nil {
			v.Close()
			t.Errorf("opened with the token %q", bad)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if after, _ := v.RoleToken(RoleOfficer); after == before {
		t.Error("a deleted token came back")
	}
	if _, ok := v.CheckRoleToken(before); ok {
		t.Error("a deleted token still works")
	}
}
