package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"bahi/access"
	"bahi/domain"
	"bahi/vault"
)

func (p *program) centreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "centre",
		Short: "Which vaccination centres may connect; and a centre's own machine",
		Long: `A centre signs in to NATS with an nkey of its own, and to HTTP with a client
certificate or a token. The ledger is told the public halves. What a centre that is
removed has submitted stays.

On the centre's own machine, run keeps submissions while there is no link and forwards
them when there is; status, verdicts and retry look into what it keeps.`,
		Example: `  bahi centre add --data ./ledger --district 208 --centre 208001 --make-nkey 208001.nkey
  bahi centre list --data ./ledger`,
	}
	c.AddCommand(p.centreAdd(), p.centreList(), p.centreRemove(), p.centreRun(), p.centreStatus(), p.centreVerdicts(), p.centreRetry())
	return c
}

// placeFlags name a centre.
type placeFlags struct{ district, centre string }

func (f *placeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.district, "district", "", "Local Government Directory code of the centre's district")
	c.Flags().StringVar(&f.centre, "centre", "", "the centre's code")
}

func (f placeFlags) read() (domain.District, string, error) {
	district, err := domain.ParseDistrict(f.district)
	if err != nil {
		return 0, "", usage("--district: %w", err)
	}
	if err := checkCentre(f.centre); err != nil {
		return 0, "", err
	}
	return district, f.centre, nil
}

// checkCentre refuses a flag --centre that no centre's code can be.
func checkCentre(code string) error {
	if domain.CheckCentre(code) != nil {
		return usage("--centre: the code of a centre has 1 to 32 Latin letters, digits, - and _")
	}
	return nil
}

func (p *program) centreAdd() *cobra.Command {
	var at placeFlags
	var nkey, makeNKey, certificate string
	c := &cobra.Command{
		Use:   "add --district CODE --centre CODE",
		Short: "Let a centre connect, or give one that may already other keys",
		Long: `Add registers a centre with the public key that it signs in to NATS with, the public
key of its client certificate, or both. With --make-nkey a pair is made and its seed,
which is the secret half, written to a file for the centre; it is never printed. A
centre without either comes with tokens alone.

Once a district has registered one of its centres, tokens are of its registered centres
only: no other's are issued, and those that were let nobody in.

A centre that is added again has the new keys in place of those it had: to exchange
one of two, give both. Connections with the old ones are cut off.`,
		Example: `  bahi centre add --data ./ledger --district 208 --centre 208001 --make-nkey 208001.nkey
  bahi centre add --data ./ledger --district 208 --centre 208002 --nkey UANBVHNGY7LWOO4LOBFFSSZWZ4PZYYUNBBNX22U4IJDCOCO5WDAWNKR6 --certificate 208002.crt`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			centre := access.Centre{NKey: nkey}
			if centre.District, centre.Code, err = at.read(); err != nil {
				return err
			}
			if certificate != "" {
				if centre.Certificate, err = fingerprint(certificate); err != nil {
					return err
				}
			}
			return p.withNew(c.Context(), vault.RoleAuthority, func(d door) error {
				if makeNKey != "" {
					if centre.NKey, err = newNKey(makeNKey); err != nil {
						return err
					}
				}
				if err := d.AddCentre(c.Context(), centre); err != nil {
					if makeNKey != "" {
						err = errors.Join(err, os.Remove(makeNKey))
					}
					return err
				}
				if p.json {
					return p.print(centre)
				}
				fmt.Fprintf(p.stdout, "centre %s of district %d may connect\n", centre.Code, centre.District)
				if centre.NKey != "" {
					fmt.Fprintf(p.stdout, "nkey %s\n", centre.NKey)
				}
				if centre.Certificate != "" {
					fmt.Fprintf(p.stdout, "certificate %s\n", centre.Certificate)
				}
				return nil
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	at.add(c)
	c.Flags().StringVar(&nkey, "nkey", "", "public key that the centre signs in to NATS with (U…)")
	c.Flags().StringVar(&makeNKey, "make-nkey", "", "make a pair instead, and write the seed to this file for the centre")
	c.Flags().StringVar(&certificate, "certificate", "", "file of the centre's client certificate, PEM; what counts is its public key")
	c.MarkFlagsMutuallyExclusive("nkey", "make-nkey")
	return c
}

func (p *program) centreList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "The centres that may connect",
		Example: "  bahi centre list --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleAuthority, func(d door) error {
				centres, err := d.Centres(c.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.print(centres)
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "district\tcentre\tnkey\tcertificate")
				for _, c := range centres {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", c.District, c.Code, dash(c.NKey), dash(c.Certificate))
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

func (p *program) centreRemove() *cobra.Command {
	var at placeFlags
	c := &cobra.Command{
		Use:     "remove --district CODE --centre CODE",
		Short:   "Shut a centre out, and end its tokens",
		Example: "  bahi centre remove --data ./ledger --district 208 --centre 208001",
		RunE: func(c *cobra.Command, _ []string) error {
			district, code, err := at.read()
			if err != nil {
				return err
			}
			return p.with(c.Context(), vault.RoleAuthority, func(d door) error {
				if err := d.RemoveCentre(c.Context(), district, code); err != nil {
					return err
				}
				_, err := fmt.Fprintf(p.stdout, "centre %s of district %d may not connect any more\n", code, district)
				return err
			})
		},
	}
	p.ledgerFlags(c)
	at.add(c)
	return c
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// newNKey makes a pair, writes its seed to a file and returns the public half.
func newNKey(file string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	defer clear(seed)
	public, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	return public, writeNew(file, append(seed, '\n'), 0o600)
}

// fingerprint is what the certificate in a PEM file is registered by.
func fingerprint(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", exit{exitUsage, err}
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", usage("%s: a certificate is a PEM file that begins with BEGIN CERTIFICATE", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", usage("%s is not a certificate: %w", file, err)
	}
	return access.Fingerprint(certificate), nil
}
