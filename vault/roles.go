package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The roles that have a bearer token.
const (
	RoleCentre    = "centre"
	RoleOfficer   = "officer"
	RoleAnalyst   = "analyst"
	RoleOperator  = "operator"
	RoleAuthority = "authority"
	RoleAuditor   = "auditor"
)

const minRoleToken = 32 // characters

// Roles returns the roles that have a bearer token.
func Roles() []string {
	return []string{RoleCentre, RoleOfficer, RoleAnalyst, RoleOperator, RoleAuthority, RoleAuditor}
}

// openRoleTokens reads the token of every role from dir, making what is missing.
func openRoleTokens(dir string) (map[string]string, error) {
	if err := os.Mkdir(dir, privateDir); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot make the directory of tokens: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the directory of tokens: %w", err)
	}
	if err := checkPrivate(info, dir, privateDir); err != nil {
		return nil, err
	}
	tokens := make(map[string]string)
	for _, role := range Roles() {
		if tokens[role], err = openRoleToken(filepath.Join(dir, role)); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func openRoleToken(path string) (string, error) {
	content, err := readSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		var b [32]byte
		rand.Read(b[:])
		token := base64.RawURLEncoding.EncodeToString(b[:])
		if err := writeWhole(path, []byte(token+"\n")); err != nil {
			return "", fmt.Errorf("cannot write a token: %w", err)
		}
		return token, nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read a token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	printable := func(r rune) bool { return r > ' ' && r < 0x7f }
	if len(token) < minRoleToken || strings.ContainsFunc(token, func(r rune) bool { return !printable(r) }) {
		return "", fmt.Errorf("the token in %s is shorter than %d characters or has spaces in it; delete the file to have a new one made", path, minRoleToken)
	}
	return token, nil
}

// RoleToken returns the bearer token of a role, which is for this installation's own
// machine. It was made when the vault was first opened and lies in the file
// tokens/<role>; whoever deletes the file has a new one made at the next start.
func (v *Vault) RoleToken(role string) (string, error) {
	token, ok := v.tokens[role]
	if !ok {
		return "", fmt.Errorf("no role is called %q; roles are %s", role, strings.Join(Roles(), ", "))
	}
	return token, nil
}

// CheckRoleToken returns the role that the token gives. How long it takes does
// not tell how much of a wrong token is right.
func (v *Vault) CheckRoleToken(token string) (role string, ok bool) {
	given := sha256.Sum256([]byte(token))
	for _, r := range Roles() {
		want := sha256.Sum256([]byte(v.tokens[r]))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			role, ok = r, true
		}
	}
	return role, ok
}
