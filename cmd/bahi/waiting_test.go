package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/access"
	"bahi/domain"
	"bahi/intake"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"
)

// TestFreezeTakesInWhatWaits orders a freeze while no service runs and bundles wait
// that were published when one did. The verb takes in the one, puts that of a locked
// centre aside, and its receipt holds.
func TestFreezeTakesInWhatWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "d")
	mustExit(t, 0, strings.NewReader(registration(1)), "submit", "--data", data, "--sandbox", "-")

	l, err := ledger.Open(t.Context(), ledger.Config{Data: data, Holders: doorsPart})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	config, err := intake.For(t.Context(), l, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := intake.OpenDoor(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(subject, line string) []byte {
		t.Helper()
		sealed, _, err := vault.SealBundle(l.Vault().IntakePublicKey(), []byte(line), []byte(subject))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(natstest.Context(t), subject, sealed); err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	sealed := publish("intake.208.208001", registration(2))
	publish("intake.208.208009", registration(3))
	lock(t, l, access.OverNATS(208, "208009"))
	conn.Close()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}

	var receipt ledger.FreezeReceipt
	frozen := mustExit(t, 0, nil, "freeze", "--data", data, "--district", "208", "--order", "A/1", "--by", "authority", "--at", "2021-03-04", "--json")
	if err := json.Unmarshal([]byte(frozen.stdout), &receipt); err != nil {
		t.Fatal(err)
	}
	if n := len(receipt.Purged); n != 5 || receipt.Purged[3].Holder != intake.HolderIntake {
		t.Errorf("acknowledged: %s", frozen.stdout)
	}
	key := filepath.Join(dir, "ledger.pub")
	if err := os.WriteFile(key, []byte(mustExit(t, 0, nil, "ledger", "public-key", "--data", data).stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	mustExit(t, 0, nil, "receipt", "verify", receipt.Receipt, "--key", key)
	if again := mustExit(t, 0, strings.NewReader(registration(2)), "submit", "--data", data, "-"); !strings.Contains(again.stdout, `"duplicate"`) {
		t.Errorf("what waited was not taken in: %s", again.stdout)
	}
	if locked := mustExit(t, 0, strings.NewReader(registration(3)), "submit", "--data", data, "-"); !strings.Contains(locked.stdout, `"accepted"`) {
		t.Errorf("what waited of a locked centre was taken in: %s", locked.stdout)
	}
	keys, err := vault.Open(data + "-keys")
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	if _, _, err := keys.OpenBundle(sealed, []byte("intake.208.208001")); !errors.Is(err, vault.ErrOtherKey) {
		t.Errorf("the bundle still opens: %v", err)
	}
}

// lock has a centre told of so many unknown numbers that it is locked.
func lock(t *testing.T, l *ledger.Ledger, centre access.Principal) {
	t.Helper()
	who, err := access.Open(t.Context(), access.Config{Store: l.Store(), Vault: l.Vault()})
	if err != nil {
		t.Fatal(err)
	}
	unknown := domain.Verdict{Reject: &domain.Rejection{Code: domain.CodeUnknownPerson}}
	if err := who.Unknown(t.Context(), centre, slices.Repeat([]domain.Verdict{unknown}, 500)); !errors.Is(err, access.ErrLocked) {
		t.Fatal(err)
	}
	if err := who.Close(); err != nil {
		t.Fatal(err)
	}
}
