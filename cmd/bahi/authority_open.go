package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) authorityOpen() *cobra.Command {
	var keyFile, handoverFile, officer string
	c := &cobra.Command{
		Use:   "open REFERENCE --key FILE [--handover FILE] --officer ID",
		Short: "Answer a frozen citizen, with the authority's key and the handover of the freeze",
		Long: `Open reads a handover with the authority's private key, and the ledger, and shows
one frozen person's record: for a citizen who asks for a certificate. Nobody
without the private key can, on this node or any other. The reading is recorded
first. The key is read into memory only; bring it to a copy of the ledger rather
than to the machine that serves it.`,
		Example: "  bahi authority open --data ./ledger 21679381234566 --key authority.key --handover ledger/handovers/018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001.handover --officer authority-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := readAuthority(keyFile, handoverFile)
			if err != nil {
				return err
			}
			return p.openFrozen(c.Context(), keys, domain.Reference(args[0]), officer)
		},
	}
	f := c.Flags()
	f.StringVar(&p.data, "data", "bahi-data", "directory of the ledger, or of a copy of it; no service may hold it")
	f.StringVar(&p.keys, "keys", "", "directory of the keys, for the pepper (default: --data with \"-keys\" appended)")
	f.StringVar(&p.nats, "nats", os.Getenv("BAHI_NATS"), "URL of an external NATS that keeps the ledger (default: the embedded server)")
	f.StringVar(&p.natsCreds, "nats-creds", os.Getenv("BAHI_NATS_CREDS"), "file that signs in to --nats: the seed of an nkey, or credentials")
	f.StringVar(&keyFile, "key", "authority.key", "file of the authority's private key")
	f.StringVar(&handoverFile, "handover", "", "handover file of the person's freeze (none for who was born closed)")
	f.StringVar(&officer, "officer", whoami(), "id of the officer who answers")
	p.jsonFlag(c)
	return c
}

func readAuthority(keyFile, handoverFile string) (keys ledger.Authority, err error) {
	private, err := os.ReadFile(keyFile)
	if err != nil {
		return keys, exit{exitUsage, err}
	}
	if keys.Key, err = vault.ParseAuthorityKey(private); err != nil {
		return keys, exit{exitUsage, err}
	}
	if handoverFile == "" {
		return keys, nil
	}
	sealed, err := os.ReadFile(handoverFile)
	if err != nil {
		return keys, exit{exitUsage, err}
	}
	keys.Handover, err = vault.OpenHandover(sealed, keys.Key)
	return keys, err
}

func (p *program) openFrozen(ctx context.Context, keys ledger.Authority, number domain.Reference, officer string) (err error) {
	l, err := ledger.Open(ctx, p.config(nil))
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, l.Close(ending))
	}()
	details, err := l.OpenFrozen(ctx, keys, number, officer)
	if err != nil {
		return err
	}
	if p.json {
		return p.print(details)
	}
	return p.printPerson(details)
}
