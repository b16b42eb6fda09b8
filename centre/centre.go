package centre

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
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/vault"
)

// DefaultMaxBytes is how much of the disk waiting bundles may take: some three
// million submissions.
const DefaultMaxBytes = 1 << 30

// Config says whose centre it is, where it keeps things, and where the ledger is.
type Config struct {
	Dir  string // of the folders and the spool; one process at a time
	Keys string // of the keys; by default Dir with "-keys" appended

	District domain.District // both as the ledger has the centre registered
	Centre   string

	Server    string                 // of the ledger's NATS, such as tls://ledger.example:4222
	NATS      []nats.Option          // further options of the connection: credentials, TLS
	IntakeKey func() ([]byte, error) // gives the ledger's intake key; nil to ask the server for it, and believe it

	Listen   string // host:port for callers on this machine; "" for none
	MaxBytes int64  // of waiting bundles on the disk, and as many of verdicts; 0 for what it is, at first DefaultMaxBytes

	Log *slog.Logger // nil for none
}

// Centre is a centre's own machine: a spool, a folder, a door for local callers,
// and who forwards to the ledger. Its methods may be called by several goroutines
// at once.
type Centre struct {
	config    Config
	pace      pace
	lock      *os.File
	token     string
	spool     *spool
	folder    *folder
	forwarder atomic.Pointer[forwarder] // nil but in Run
}

// Open opens a centre's directory, or makes it. It needs no network. Errors:
// [ErrLocked] when another process has the directory, [ErrKeysMissing],
// [*OtherCentreError].
func Open(ctx context.Context, config Config) (*Centre, error) { return open(ctx, config, steady) }

func open(ctx context.Context, config Config, p pace) (_ *Centre, err error) {
	if config.Keys == "" {
		config.Keys = filepath.Clean(config.Dir) + "-keys"
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if err := vault.Outside(config.Dir, config.Keys); err != nil {
		return nil, err
	}
	c := &Centre{config: config, pace: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, dir := range []string{config.Dir, config.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the centre's directory: %w", err)
		}
	}
	if c.lock, err = lockDir(config.Dir); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(config.Dir, fileService)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove what a process left that was killed: %w", err)
	}
	for _, name := range []string{folderIn, folderTaken, folderDone, folderFailed} {
		if err := os.MkdirAll(filepath.Join(config.Dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("make the centre's directory: %w", err)
		}
	}
	if err := c.identify(); err != nil {
		return nil, err
	}
	if c.token, err = openToken(filepath.Join(config.Keys, fileToken)); err != nil {
		return nil, fmt.Errorf("the token for local callers: %w", err)
	}
	c.spool, err = openSpool(ctx, filepath.Join(config.Dir, "spool"), config.Keys, config.MaxBytes)
	if err != nil {
		return nil, err
	}
	c.folder = &folder{config: c.config, pace: p, spool: c.spool}
	return c, nil
}

// IsDir tells whether a centre has been opened in the directory.
func IsDir(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, fileCentre))
	return err == nil
}

// OtherCentreError says that a directory is another centre's: what waits in it
// would be refused under this one's name.
type OtherCentreError struct {
	District domain.District
	Centre   string
}

func (e *OtherCentreError) Error() string {
	return fmt.Sprintf("the directory is that of centre %s of district %d; each centre has one of its own", e.Centre, e.District)
}

const fileCentre = "centre.json"

// identity is whose directory it is.
type identity struct {
	District domain.District `json:"district"`
	Centre   string          `json:"centre"`
}

// identify reads whose directory it is, or makes it this centre's. Who opens it
// only to look names no centre.
func (c *Centre) identify() error {
	path := filepath.Join(c.config.Dir, fileCentre)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := intake.Subject(c.config.District, c.config.Centre); err != nil {
			return err
		}
		b, err := json.Marshal(identity{c.config.District, c.config.Centre})
		if err != nil {
			return err
		}
		return writeWhole(path, append(b, '\n'))
	}
	var is identity
	if err == nil {
		err = json.Unmarshal(content, &is)
	}
	if err != nil {
		return fmt.Errorf("whose directory it is cannot be read from %s: %w", path, err)
	}
	if c.config.Centre == "" && c.config.District == 0 {
		c.config.District, c.config.Centre = is.District, is.Centre
	}
	if (is != identity{c.config.District, c.config.Centre}) {
		return &OtherCentreError{is.District, is.Centre}
	}
	return nil
}

// Close lets go of the directory. Run has to have returned.
func (c *Centre) Close() error {
	if c.spool != nil {
		c.spool.close()
	}
	if c.lock == nil {
		return nil
	}
	return unlock(c.lock)
}

// Run forwards what waits, takes files from the folder and serves local callers
// until ctx is done. ready is told the address of the local door, when there is
// one, once everything has begun. The error is the disk's, or says that nobody
// can listen there; that the ledger is out of reach is none.
func (c *Centre) Run(ctx context.Context, ready func(address string)) (err error) {
	l, err := openLink(c.config, c.pace)
	if err != nil {
		return err
	}
	defer l.close()
	f := &forwarder{config: c.config, pace: c.pace, spool: c.spool, folder: c.folder, link: l}
	c.forwarder.Store(f)
	defer c.forwarder.Store(nil)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	parts := []func(context.Context) error{f.run, c.folder.watch}
	address := ""
	if c.config.Listen != "" {
		d, err := c.openDoor()
		if err != nil {
			return err
		}
		defer d.close()
		address = d.address()
		parts = append(parts, d.serve)
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part(ctx) }()
	}
	if ready != nil {
		ready(address)
	}
	for range parts {
		e := <-ended
		stop(e) // one that fails ends the others
		err = errors.Join(err, e)
	}
	return err
}

// Keep puts submissions into the spool in bundles, and tells out of each, once it
// is flushed. An error of the reader comes after what was read before it has been
// kept; a [*FullError] says that the rest was not.
func (c *Centre) Keep(ctx context.Context, items iter.Seq2[formats.Item, error], out func(Kept) error) error {
	for b, err := range bundles(items, c.pace.bundle) {
		if err != nil {
			return err
		}
		id := newID()
		if err := c.spool.keep(ctx, id, b, false); err != nil {
			return err
		}
		for _, it := range b.Items {
			if err := out(it.kept(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Read reads submissions in any format, as the centre's folder does; 0 is found
// by content. What a foreign record leaves unsaid is this centre's, and now.
func (c *Centre) Read(r io.Reader, format formats.Format) (iter.Seq2[formats.Item, error], error) {
	return c.config.read(r, format, time.Now())
}
