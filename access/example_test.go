package access_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"bahi/access"
	"bahi/eventstore"
	"bahi/vault"
)

// An officer of Muzaffarpur gets a token, and loses it.
func Example() {
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	keys, err := vault.Open(filepath.Join(dir, "keys"))
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	store, err := eventstore.Open(ctx, eventstore.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	registry, err := access.Open(ctx, access.Config{Store: store, Vault: keys, Origin: "bahi/example"})
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()

	authority := access.Installation(vault.RoleAuthority)
	issued, err := registry.Issue(ctx, authority, access.Grant{Role: vault.RoleOfficer, District: 208, Officer: "dio-208-3"})
	if err != nil {
		log.Fatal(err)
	}
	p, err := registry.Bearer(ctx, issued.Text, false)
	fmt.Println(p.Role, p.District, p.Officer, err)

	if err := registry.Revoke(ctx, authority, issued.ID); err != nil {
		log.Fatal(err)
	}
	_, err = registry.Bearer(ctx, issued.Text, false)
	fmt.Println(err)
	for event := range store.Access(ctx, 0) {
		fmt.Println(event.Kind, event.By)
	}
	// Output:
	// officer 208 dio-208-3 <nil>
	// the token was revoked; ask for another
	// token_issued role:authority
	// token_revoked role:authority
}
