package intake

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

// Config is what the door and the quarantine work with.
type Config struct {
	// Conn is for their own use, so that a flood of bundles does not hold up the
	// ledger. The caller closes it, after they have ended.
	Conn     *nats.Conn
	Replicas int // of their streams; 0 means 1
	Keys     *vault.Vault
	Log      *slog.Logger

	// Access counts what verdicts tell a centre about numbers that are not known,
	// and says which centres are locked for it. nil: nothing is counted.
	Access *access.Registry

	// What they ask the ledger. Submissions are decided without the authority's
	// credential; the others are [ledger.Ledger.Custody] and
	// [ledger.Ledger.ReadRefused].
	Submit  Submitter
	Custody func(ctx context.Context, from domain.District, submissions []domain.Submission) ([]domain.District, error)
	Reading func(ctx context.Context, reader ledger.Reader, district domain.District, id domain.UUID, submissions []domain.Submission) (may []bool, err error)
}

// For is the configuration for a ledger. Its streams have as many replicas as the
// ledger's own.
func For(ctx context.Context, l *ledger.Ledger, conn *nats.Conn, log *slog.Logger) (Config, error) {
	info, err := l.Store().Info(ctx)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Conn: conn, Replicas: info.Replicas, Keys: l.Vault(), Log: log,
		Submit: func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
			return l.Submit(ctx, ledger.Caller{Name: vault.RoleCentre}, s)
		},
		Custody: l.Custody,
		Reading: l.ReadRefused,
	}, nil
}
