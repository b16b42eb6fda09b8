package main

import (
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

// openCentre connects to a NATS address. A token is the password of the user
// "centre", as the embedded server has it; a credentials file is for others.
func (p *program) openCentre(f centreFlags) (centreDoor, error) {
	d := centreDoor{centre: f.centre}
	var err error
	if d.district, err = domain.ParseDistrict(f.district); err != nil {
		return d, usage("--district: %w", err)
	}
	if _, err := intake.Subject(d.district, f.centre); err != nil {
		return d, usage("--centre: %w", err)
	}
	var options intake.ClientOptions
	if f.intakeKey != "" {
		if options.IntakeKey, err = readIntakeKey(f.intakeKey); err != nil {
			return d, err
		}
	}
	password, err := p.token()
	if err != nil {
		return d, err
	}
	if password != "" {
		options.InboxPrefix = eventstore.CentreInbox
		options.NATS = append(options.NATS, nats.UserInfo("centre", password))
	}
	if p.natsCreds != "" {
		options.NATS = append(options.NATS, nats.UserCredentials(p.natsCreds))
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
