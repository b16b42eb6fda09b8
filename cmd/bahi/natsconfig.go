package main

import (
	"strings"

	"github.com/spf13/cobra"

	"bahi/access"
	"bahi/domain"
	"bahi/vault"
)

func (p *program) natsConfigCommand() *cobra.Command {
	var config access.NATSConfig
	var noCentres bool
	var makeNKey string
	var portals []string
	c := &cobra.Command{
		Use:   "nats-config",
		Short: "Print the configuration of an external NATS server, with the registered centres",
		Long: `The configuration has an account of the ledger, in which nobody else is, and one of the
centres: each of them publishes its own bundles and listens in its own inbox. Print it
anew when centres come or go, and have the server take it: nats-server --signal reload.

The ledger signs in with an nkey whose public half is given here and whose seed bahi is
given with --nats-creds. Without one there is a user "ledger" whose password stands in
the server's variable LEDGER_PASSWORD. Operators see how large streams are and who is
behind, nothing that is in them; their connections need the inbox prefix _INBOX_operator.

Portals hear the notices of a district, or of all, and can do nothing else: each has a
name, for its durable consumer and its inbox, and an nkey. docs/NOTICES.md goes on from here.`,
		Example: `  bahi nats-config --no-centres --make-ledger-nkey ledger.nkey > nats.conf
  bahi nats-config --server http://127.0.0.1:8080 --token-file operator.token --ledger-nkey UANBVHNGY7LWOO4LOBFFSSZWZ4PZYYUNBBNX22U4IJDCOCO5WDAWNKR6 > nats.conf`,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, text := range portals {
				portal, err := parsePortal(text)
				if err != nil {
					return err
				}
				config.Portals = append(config.Portals, portal)
			}
			if err := config.Check(); err != nil { // before a seed is written for it
				return usage("%w", err)
			}
			if makeNKey != "" {
				public, err := newNKey(makeNKey)
				if err != nil {
					return err
				}
				config.Ledger = append(config.Ledger, public)
			}
			if noCentres {
				return config.Write(p.stdout)
			}
			return p.with(c.Context(), vault.RoleOperator, func(d door) (err error) {
				if config.Centres, err = d.Centres(c.Context()); err != nil {
					return err
				}
				return config.Write(p.stdout)
			})
		},
	}
	p.ledgerFlags(c)
	f := c.Flags()
	f.StringSliceVar(&config.Ledger, "ledger-nkey", nil, "public key that the ledger signs in with (U…); one a node")
	f.StringVar(&makeNKey, "make-ledger-nkey", "", "make a pair for the ledger, and write its seed to this file")
	f.StringSliceVar(&config.Operators, "operator-nkey", nil, "public key of who looks after the server (U…)")
	f.StringSliceVar(&portals, "portal", nil, "who listens to notices, as NAME:DISTRICT:NKEY; the district is a code or all")
	f.BoolVar(&noCentres, "no-centres", false, "for a server that is to run before there is a ledger")
	f.StringVar(&config.Listen, "listen", "0.0.0.0:4222", "address at which the server listens")
	f.StringVar(&config.StoreDir, "store-dir", "/data", "directory of the server's streams")
	f.StringVar(&config.Certificate, "tls-certificate", "", "file of the server's TLS certificate")
	f.StringVar(&config.Key, "tls-key", "", "file of its key")
	return c
}

// parsePortal reads NAME:DISTRICT:NKEY.
func parsePortal(text string) (portal access.Portal, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return portal, usage("--portal is NAME:DISTRICT:NKEY, such as portal-208:208:UANB…")
	}
	portal.Name, portal.NKey = parts[0], parts[2]
	if parts[1] != "all" {
		if portal.District, err = domain.ParseDistrict(parts[1]); err != nil {
			return portal, usage("--portal: %w", err)
		}
	}
	return portal, nil
}
