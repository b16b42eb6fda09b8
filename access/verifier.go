package access

import (
	"context"

	"bahi/vault"
)

// Verifier knows one kind of bearer token. Verify returns false when the token is
// of another kind, so that the next verifier is asked; with true, the error says
// why this one lets nobody in. It is called concurrently, with tokens that anybody
// may have made up, of at most 8 KiB.
//
// Two are built in: tokens that the registry issued, and the installation's role
// tokens. A third, for tokens of an OpenID Connect provider, belongs here; how its
// claims become a [Principal] is in docs/adr/0019-tokens-and-where-oidc-plugs-in.md.
type Verifier interface {
	Verify(ctx context.Context, bearer string) (Principal, bool, error)
}

// installation knows the role tokens that lie beside the keys.
type installation struct{ vault *vault.Vault }

func (i installation) Verify(_ context.Context, bearer string) (Principal, bool, error) {
	role, ok := i.vault.CheckRoleToken(bearer)
	if !ok {
		return Principal{}, false, nil
	}
	return Installation(role), true, nil
}

// Installation is the principal of the installation's token of a role, and of
// whoever has the keys themselves.
func Installation(role string) Principal {
	return Principal{Token: "role:" + role, Role: role, Installation: true}
}
