package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bahi/evidence"
)

// checkpointPace is the time between two checkpoints that are signed because the
// ledger grows.
const checkpointPace = time.Second

// RewrittenError says that the ledger is not the one that this node's last
// checkpoint was signed for, nor a continuation of it: history was rewritten, or an
// older copy was put in its place. Nothing is opened.
type RewrittenError struct {
	Kept evidence.Checkpoint
	Head uint64 // of the ledger at hand
	What string
}

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("HISTORY WAS REWRITTEN, or an older copy of the ledger was put back: %s. The last checkpoint that was signed here covers %d commits; the ledger at hand has %d. "+
		"Put the right ledger back; a person who can answer for it may take the file checkpoints/latest away, and auditors will see that it was done", e.What, e.Kept.Size, e.Head)
}

// checkpoints keeps the last checkpoint that was signed, in memory and in the file
// DATA/checkpoints/latest. The public keys lie beside it, for a look-up without the
// vault; who trusts them trusts the data directory.
type checkpoints struct {
	dir  string
	last atomic.Pointer[signedCheckpoint]

	signing sync.Mutex // held while one is signed and written
}

type signedCheckpoint struct {
	evidence.Checkpoint
	text string
	at   time.Time // of signing
}

const (
	latestCheckpoint = "latest"
	publicKeyFile    = "public-key"
)

// CheckpointPublicKeys is where a node leaves the public keys of its ledger.
func CheckpointPublicKeys(data string) string {
	return filepath.Join(data, "checkpoints", publicKeyFile)
}

// openCheckpoints reads the last checkpoint, which has to be signed with a key of
// the vault, and refuses a ledger that is shorter.
func (l *Ledger) openCheckpoints(ctx context.Context) error {
	l.checkpoints.dir = filepath.Join(l.config.Data, "checkpoints")
	path := filepath.Join(l.checkpoints.dir, latestCheckpoint)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the last checkpoint: %w", err)
	}
	origin, _, _ := strings.Cut(string(text), "\n")
	keys, err := l.publicKeys(origin)
	if err != nil {
		return fmt.Errorf("the last checkpoint, %s: %w", path, err)
	}
	kept, err := evidence.OpenCheckpoint(text, keys)
	if err != nil {
		return fmt.Errorf("the last checkpoint, %s, cannot be trusted; put back the signing key that the ledger had, or the file: %w", path, err)
	}
	signed := &signedCheckpoint{Checkpoint: kept, text: string(text)}
	if file, err := os.Stat(path); err == nil {
		signed.at = file.ModTime()
	}
	l.checkpoints.last.Store(signed)
	head, err := l.store.Head(ctx)
	if err != nil {
		return err
	}
	if head < kept.Size {
		return &RewrittenError{Kept: kept, Head: head, What: "commits are missing"}
	}
	return nil
}

// checkHistory refuses a ledger whose tree does not continue the last checkpoint.
// It has the tree's word for it, which [Ledger.Verify] checks against the commits.
func (l *Ledger) checkHistory() error {
	kept := l.checkpoints.last.Load()
	if kept == nil {
		return nil
	}
	root, err := l.merkle.Root(kept.Size)
	if err != nil {
		return err
	}
	if root != kept.Root {
		return &RewrittenError{Kept: kept.Checkpoint, Head: l.merkle.Size(), What: "its commits are others than those the checkpoint covers"}
	}
	return nil
}

// keepCheckpoints signs a checkpoint when the ledger has grown, at most one a
// second, until the ledger closes.
func (l *Ledger) keepCheckpoints() {
	l.attending.Go(func() {
		for {
			if err := l.runner.Wait(l.following, l.checkpoints.size()+1, l.merkle); err != nil {
				select {
				case <-time.After(checkpointPace): // the tree is brought up again
					continue
				case <-l.folding: // the ledger closes, or cannot be read, which was logged
					return
				}
			}
			err := l.named(l.following)
			if err == nil {
				_, err = l.signCheckpoint()
			}
			if err != nil && l.following.Err() == nil {
				l.log.Error("no checkpoint was signed; the next one covers more", "error", err)
			}
			select {
			case <-time.After(checkpointPace):
			case <-l.following.Done():
				return
			}
		}
	})
}

// lastPatience bounds how long a ledger that closes waits for its tree.
const lastPatience = 5 * time.Second

// lastCheckpoint signs a checkpoint of everything there is, at the end. What it does
// not come to is signed after the next start.
func (l *Ledger) lastCheckpoint(ctx context.Context) {
	if l.folding == nil {
		return // nothing was followed
	}
	ctx, cancel := context.WithTimeout(ctx, lastPatience)
	defer cancel()
	err := l.runner.Wait(ctx, l.register.Folded(), l.merkle)
	if err == nil {
		_, err = l.signCheckpoint()
	}
	if err != nil {
		l.log.Warn("the ledger closes without a checkpoint of its last commits; the next start signs one", "error", err)
	}
}

func (c *checkpoints) size() uint64 {
	if last := c.last.Load(); last != nil {
		return last.Size
	}
	return 0
}

// signCheckpoint signs and keeps a checkpoint of what the tree has, unless the last
// one covers it already. Before the ledger is founded there is nothing to sign: the
// answer is nil.
func (l *Ledger) signCheckpoint() (*signedCheckpoint, error) {
	l.checkpoints.signing.Lock()
	defer l.checkpoints.signing.Unlock()
	size := l.merkle.Size()
	last := l.checkpoints.last.Load()
	if size == 0 || l.origin() == "" || last != nil && last.Size >= size {
		return last, nil
	}
	tree, err := l.tree(size)
	if err != nil {
		return nil, err
	}
	key, err := l.vault.Signer(tree.Origin)
	if err != nil {
		return nil, err
	}
	text, err := tree.Sign(key)
	if err != nil {
		return nil, err
	}
	public, err := l.PublicKeys()
	if err != nil {
		return nil, err
	}
	if err := l.checkpoints.write(text, public); err != nil {
		return nil, fmt.Errorf("keep the checkpoint: %w", err)
	}
	signed := &signedCheckpoint{tree, string(text), time.Now()}
	l.checkpoints.last.Store(signed)
	l.metrics.checkpoints.Inc()
	return signed, nil
}

// tree describes the tree of the first size commits.
func (l *Ledger) tree(size uint64) (evidence.Checkpoint, error) {
	root, err := l.merkle.Root(size)
	if err != nil {
		return evidence.Checkpoint{}, err
	}
	return evidence.Checkpoint{Origin: l.origin(), Size: size, Root: root}, nil
}

// origin is the ledger's name for itself, "" before it is founded.
func (l *Ledger) origin() string {
	founded, _ := l.register.Founded()
	return founded.Origin
}

// named makes sure that the name is known of a ledger that is founded. The tree may have
// seen the founding first: it follows the ledger, where another node may have written, and
// the register asks when it has to know.
func (l *Ledger) named(ctx context.Context) error {
	if l.merkle.Size() == 0 || l.origin() != "" {
		return nil
	}
	return l.refresh(ctx)
}

func (c *checkpoints) write(text []byte, public string) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	keys := filepath.Join(c.dir, publicKeyFile)
	if kept, err := os.ReadFile(keys); err != nil || string(kept) != public {
		if err := replaceFile(keys, []byte(public)); err != nil {
			return err
		}
	}
	return replaceFile(filepath.Join(c.dir, latestCheckpoint), text)
}

// replaceFile puts content at path such that a crash leaves the old or the new one.
func replaceFile(path string, content []byte) error {
	beside := path + ".new"
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// PublicKeys returns the public keys with which the ledger's evidence is checked,
// one a line, the present one first; "" before the ledger is founded. See
// [evidence.ParseKeys].
func (l *Ledger) PublicKeys() (string, error) {
	origin := l.origin()
	if origin == "" {
		return "", nil
	}
	texts, err := l.vault.SigningPublicKeys(origin)
	if err != nil {
		return "", err
	}
	return strings.Join(texts, "\n") + "\n", nil
}

// publicKeys are the vault's, for a ledger of that origin.
func (l *Ledger) publicKeys(origin string) (evidence.Keys, error) {
	texts, err := l.vault.SigningPublicKeys(origin)
	if err != nil {
		return evidence.Keys{}, err
	}
	return evidence.ParseKeys(strings.Join(texts, "\n"))
}

// freshCheckpoint returns a signed checkpoint of everything that is in the ledger
// now.
func (l *Ledger) freshCheckpoint(ctx context.Context) (*signedCheckpoint, error) {
	if err := l.caughtUp(ctx, l.merkle); err != nil {
		return nil, err
	}
	if err := l.named(ctx); err != nil {
		return nil, err
	}
	signed, err := l.signCheckpoint()
	if err == nil && signed == nil {
		err = fmt.Errorf("the ledger is empty: %w", ErrNotFound)
	}
	return signed, err
}
