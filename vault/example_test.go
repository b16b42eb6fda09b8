package vault_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"bahi/domain"
	"bahi/vault"
)

// A person's details are sealed under the key of their cohort. A freeze seals
// the key to the authority and destroys it here: from then on the authority, and
// only it, can open them.
func Example() {
	dir, err := os.MkdirTemp("", "bahi-keys-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	v, err := vault.Open(filepath.Join(dir, "keys"))
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()

	cohort := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	if err := v.EnsureKeys(cohort); err != nil {
		log.Fatal(err)
	}
	person := v.PersonToken("21679381234566")
	details := domain.Details{Name: "Sunita Devi", BirthYear: 1961, Mobile: "9000000001"}
	sealed, err := v.SealRegistration(cohort, person, details, domain.RegistrationTokens{})
	if err != nil {
		log.Fatal(err)
	}
	opened, _, err := v.OpenRegistration(cohort, person, sealed)
	fmt.Println("before:", opened.Name, err)

	// The freeze.
	authority, err := vault.GenerateAuthorityKey()
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "freeze.handover")
	if _, err := v.WriteHandover(file, domain.UUID{}, []domain.Cohort{cohort}, authority.Public()); err != nil {
		log.Fatal(err)
	}
	destroyed, err := v.Destroy(cohort)
	fmt.Println("keys destroyed:", destroyed, err)

	_, _, err = v.OpenRegistration(cohort, person, sealed)
	fmt.Println("here:", errors.Is(err, vault.ErrKeyDestroyed))

	content, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	handover, err := vault.OpenHandover(content, authority)
	if err != nil {
		log.Fatal(err)
	}
	opened, _, err = handover.OpenRegistration(cohort, person, sealed)
	fmt.Println("the authority:", opened.Name, err)
	// Output:
	// before: Sunita Devi <nil>
	// keys destroyed: 1 <nil>
	// here: true
	// the authority: Sunita Devi <nil>
}
