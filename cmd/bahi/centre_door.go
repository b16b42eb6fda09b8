package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
)

// centreFlags say as which centre bundles are published.
type centreFlags struct {
	district, centre string
	nkey, ca         string
	intakeKey        string
}

// centreDoor seals bundles and publishes them as a centre does.
type centreDoor struct {
	client   *intake.Client
	district domain.District
	centre   string
}

func (d centreDoor) Submit(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
	return d.client.Publish(ctx, d.district, d.centre, s)
}

func (d centreDoor) Close() error {
	d.client.Close()
	return nil
}

func isNATS(server string) bool {
	return strings.HasPrefix(server, "nats://") || strings.HasPrefix(server, "tls://")
}

// openCentre connects to a NATS address as a centre does: with the seed of its nkey,
// or with credentials of a server that knows its users by those.
func (p *program) openCentre(f centreFlags) (centreDoor, error) {
	d := centreDoor{centre: f.centre}
	var err error
	if d.district, err = domain.ParseDistrict(f.district); err != nil {
		return d, usage("--district: %w", err)
	}
	if err := checkCentre(f.centre); err != nil {
		return d, err
	}
	options := intake.ClientOptions{InboxPrefix: intake.InboxPrefix(d.district, f.centre)}
	if f.intakeKey != "" {
		if options.IntakeKey, err = readIntakeKey(f.intakeKey); err != nil {
			return d, err
		}
	}
	if file := cmp.Or(f.nkey, p.natsCreds); file != "" {
		signIn, err := eventstore.SignIn(file)
		if err != nil {
			return d, exit{exitUsage, err}
		}
		options.NATS = append(options.NATS, signIn)
	}
	if f.ca != "" {
		options.NATS = append(options.NATS, nats.RootCAs(f.ca))
	}
	d.client, err = intake.Dial(p.server, options)
	return d, err
}

func readIntakeKey(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, exit{exitUsage, fmt.Errorf("%s: an intake key is one line of base64, as `bahi ledger intake-key` prints it", file)}
	}
	return key, nil
}
