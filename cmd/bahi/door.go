package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/evidence"
	"bahi/intake"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
	"bahi/web"
)

// door is what the verbs need of a ledger. There are two: the ledger itself,
// opened in this process, and a service that holds it, spoken to over HTTP.
type door interface {
	Submit(context.Context, []domain.Submission) ([]domain.Verdict, error)
	TellCounts(ctx context.Context, q projections.CountsQuery, head func(projections.CountsResult) error, row func(projections.CountsRow) error) error
	Explain(ctx context.Context, q projections.ExplainQuery, tell func(projections.Movement) error) error
	TellDiff(ctx context.Context, q projections.CountsQuery, since time.Time, head func(ledger.CountsDiff) error, row func(projections.CountsChange) error) error
	Person(ctx context.Context, number domain.Reference, reader ledger.Reader) (ledger.PersonDetails, error)
	Freeze(context.Context, domain.Freeze) (ledger.FreezeReceipt, error)
	PendingReversals(ctx context.Context, district domain.District, on domain.Day) ([]ledger.PendingReversal, error)
	Replay(context.Context, ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error]
	Projections(context.Context) ([]projections.ViewStatus, error)
	RebuildView(ctx context.Context, name string, o projections.RebuildOptions, tell func(projections.Progress)) (projections.Rebuilt, error)
	AbortRebuild(ctx context.Context, name string) (bool, error)
	VerifyProjections(ctx context.Context, names []string, progress func(name string, done, total uint64)) (ledger.VerifyReport, error)
	Info(context.Context) (ledger.Info, error)
	VerifyKept(ctx context.Context, kept ledger.Kept, progress func(done, total uint64)) (ledger.VerifyReport, error)
	Prove(ctx context.Context, commit uint64) (evidence.Proof, error)
	ProveFrom(ctx context.Context, size uint64) (evidence.Proof, error)
	Receipt(ctx context.Context, freeze domain.UUID, from ...uint64) (evidence.Receipt, error)
	CountStatement(context.Context, projections.CountsQuery) ([]byte, error)
	AdoptAuthorityKey(ctx context.Context, key vault.AuthorityPublicKey, at time.Time) error
	AuditList(ctx context.Context) iter.Seq2[eventstore.AuditRead, error]
	IntakeKey(context.Context) ([]byte, error)
	accessDoor
	quarantineDoor
	Close() error
}

// direct is the ledger in this process.
type direct struct {
	*ledger.Ledger
	caller ledger.Caller
}

func (d direct) Submit(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
	return d.Ledger.Submit(ctx, d.caller, s)
}

// Queue takes a bundle while the ones before it are still being decided.
func (d direct) Queue(ctx context.Context, s []domain.Submission) func() ([]domain.Verdict, error) {
	return d.Ledger.Queue(ctx, d.caller, s)
}

// Freeze takes in what waits of centres' bundles meanwhile: the receipt waits for
// them, and there is no service that would.
func (d direct) Freeze(ctx context.Context, f domain.Freeze) (receipt ledger.FreezeReceipt, err error) {
	conn, err := d.Store().Connect("intake")
	if err != nil {
		return ledger.FreezeReceipt{}, err
	}
	defer conn.Close()
	waits, err := intake.Waiting(ctx, conn)
	if err != nil {
		return ledger.FreezeReceipt{}, err
	}
	if waits.Bundles == 0 {
		return d.Ledger.Freeze(ctx, f)
	}
	config, err := intake.For(ctx, d.Ledger, conn, nil)
	if err != nil {
		return ledger.FreezeReceipt{}, err
	}
	err = d.access(ctx, func(who *access.Registry, _ access.Principal) (err error) {
		config.Access = who
		serving, stop := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- intake.Serve(serving, config) }()
		receipt, err = d.Ledger.Freeze(ctx, f)
		stop()
		return errors.Join(err, <-served)
	})
	return receipt, err
}

func (d direct) IntakeKey(context.Context) ([]byte, error) {
	return d.Vault().IntakePublicKey(), nil
}

func (d direct) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return d.Ledger.Close(ctx)
}

// open opens the door that the flags ask for, as one of the vault's roles. With
// direct access the caller owns the data and the keys, and acts in that role.
func (p *program) open(ctx context.Context, role string) (door, error) {
	if p.server != "" {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		c, err := web.Dial(p.server, token)
		if err != nil {
			return nil, exit{exitUsage, err}
		}
		return c, nil
	}
	l, err := ledger.Open(ctx, p.config(nil))
	if errors.Is(err, ledger.ErrLocked) {
		return p.openService(role)
	}
	if err != nil {
		return nil, err
	}
	// Whoever has the lock knows that no service runs: one that was killed left
	// its address.
	if err := os.Remove(servicePath(p.data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return direct{l, ledger.Caller{Name: role, Authority: role == vault.RoleAuthority}}, nil
}

// keyDir is the directory of the keys, as ledger.Open finds it.
func (p *program) keyDir() string {
	if p.keys != "" {
		return p.keys
	}
	return filepath.Clean(p.data) + "-keys"
}

func (p *program) config(log *slog.Logger) ledger.Config {
	config := ledger.Config{
		Data: p.data, Keys: p.keys,
		NATS: p.nats, NATSCredentials: p.natsCreds,
		Sandbox: p.sandbox, Log: log,
		ReadsPerDay:   p.readsPerDay,
		RegisterCache: p.registerCache,
		Holders:       doorsPart,
	}
	if log == nil { // a verb, which whoever started it waits for
		config.Patience = verbPatience
		config.Unusable = func(view string, why error) {
			fmt.Fprintf(p.stderr, "the view %s cannot be read; folding it anew\n", view)
			if errors.Is(why, projections.ErrCorrupt) {
				p.damaged = append(p.damaged, view)
			}
		}
	}
	return config
}

// verbPatience is how long a verb waits for a view that is folded anew.
const verbPatience = 24 * time.Hour

// doorsPart is the door's part of a freeze. Every verb that opens a ledger itself
// has it, so that a freeze waits for no service while no bundle does.
func doorsPart(store *eventstore.Store, keys *vault.Vault) []ledger.Holder {
	return intake.Holders(store.Connect, keys)
}

// token reads the token for --server. It comes from a file or the environment,
// never from the command line, which every user of the machine can see.
func (p *program) token() (string, error) {
	if p.tokenFile == "" {
		return os.Getenv("BAHI_TOKEN"), nil
	}
	b, err := os.ReadFile(p.tokenFile)
	if err != nil {
		return "", exit{exitUsage, fmt.Errorf("read the token: %w", err)}
	}
	return strings.TrimSpace(string(b)), nil
}

// service is what a running service leaves in its data directory for verbs that
// find it locked.
type service struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

func servicePath(data string) string { return filepath.Join(data, "service.json") }

func (p *program) openService(role string) (door, error) {
	b, err := os.ReadFile(servicePath(p.data))
	if err != nil {
		return nil, ledger.ErrLocked // another verb holds it, not a service
	}
	var s service
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w (its address in %s cannot be read)", ledger.ErrLocked, servicePath(p.data))
	}
	token, err := os.ReadFile(filepath.Join(p.keyDir(), "tokens", role))
	if err != nil {
		return nil, fmt.Errorf("a service holds %s, and its token cannot be read: %w", p.data, err)
	}
	return web.Dial(s.URL, strings.TrimSpace(string(token)))
}

// with opens the door of a ledger that is there, calls do, and closes it again.
// A verb that asks does not make a ledger where a path was mistyped.
func (p *program) with(ctx context.Context, role string, do func(door) error) error {
	if err := p.checkThere(); err != nil {
		return err
	}
	return p.withNew(ctx, role, do)
}

// checkThere refuses a data directory that holds nothing. With an external NATS
// the ledger is elsewhere, and a new directory is for the views.
func (p *program) checkThere() error {
	if p.server != "" || p.nats != "" {
		return nil
	}
	if files, err := os.ReadDir(p.data); len(files) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		return exit{exitNotFound, fmt.Errorf("there is no ledger in %s; check --data, or begin one with `bahi submit`", p.data)}
	}
	return nil
}

// withNew is with for verbs that may write a ledger's first commit.
func (p *program) withNew(ctx context.Context, role string, do func(door) error) (err error) {
	d, err := p.open(ctx, role)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return do(d)
}

// print writes v as one JSON value.
func (p *program) print(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// input opens a file, or the standard input for "-". A read ends with ctx: whoever
// presses ^C need not press ^D, too.
func (p *program) input(ctx context.Context, name string) (io.ReadCloser, error) {
	from := io.NopCloser(p.stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, exit{exitUsage, err}
		}
		from = f
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, from)
		w.CloseWithError(errors.Join(err, from.Close()))
	}()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })
	return r, nil
}
