package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

// FreezeReceipt is what a freeze did, as its events in the ledger say.
type FreezeReceipt struct {
	Freeze        domain.UUID       `json:"freeze"`
	Commit        uint64            `json:"commit"`
	District      domain.District   `json:"district"`
	Groups        []domain.Group    `json:"groups"`
	Listed        int64             `json:"listed,omitempty"` // of a freeze of listed persons, who was frozen before included
	People        int64             `json:"people"`
	Mode          domain.FreezeMode `json:"mode"`
	Handover      string            `json:"handover,omitempty"`
	KeysDestroyed int64             `json:"keys_destroyed"`
	Purged        []PurgedBy        `json:"purged"`
	CompletedAt   time.Time         `json:"completed_at"`
	Receipt       string            `json:"receipt,omitempty"` // file with the signed receipt
}

// PurgedBy is one holder's acknowledgement.
type PurgedBy struct {
	Holder  string `json:"holder"`
	Rows    *int64 `json:"rows,omitempty"`
	Residue *int64 `json:"residue,omitempty"`
}

// photoIDChunk is how many tokens one event keeps: 360 kB.
const photoIDChunk = 20_000

// Freeze orders a freeze, carries it out and returns its receipt. The authority
// calls it. Ordering the same freeze (by id and content) again returns the same
// receipt.
//
// Errors: *domain.Rejection when the order is refused; any other error after the
// order is in the ledger leaves a freeze that is resumed at its first missing
// step: by the same call again, in a while by the node itself, and when the ledger is
// next opened.
func (l *Ledger) Freeze(ctx context.Context, f domain.Freeze) (FreezeReceipt, error) {
	as := Caller{Name: "authority", Authority: true}
	refused, err := l.foundFor(ctx, as, f)
	if err != nil {
		return FreezeReceipt{}, err
	}
	if refused != nil {
		return FreezeReceipt{}, refused[0].Reject
	}
	v, err := l.orderAndCarryOut(ctx, as, f)
	if err != nil {
		return FreezeReceipt{}, err
	}
	if v.Outcome == domain.Rejected {
		return FreezeReceipt{}, v.Reject
	}
	state, err := l.awaitHolders(ctx, f.ID)
	if err != nil {
		return FreezeReceipt{}, err
	}
	r := l.receipt(state)
	r.Receipt = l.tryReceipt(ctx, f.ID)
	return r, nil
}

// orderAndCarryOut puts an order into the ledger and carries it out. A verdict
// other than the zero value says that the order is in the ledger, whatever the
// error. The lock is held from before the order, so that this node's part is not
// taken for another node's freeze.
func (l *Ledger) orderAndCarryOut(ctx context.Context, as Caller, f domain.Freeze) (domain.Verdict, error) {
	l.freezing.Lock()
	defer l.freezing.Unlock()
	if err := l.finishEarlier(ctx, f); err != nil {
		return domain.Verdict{}, err
	}
	v, err := l.orderFreeze(ctx, as, f)
	if err != nil || v.Outcome == domain.Rejected {
		return v, err
	}
	if err := l.carryOut(ctx, f.ID); err != nil {
		l.finishLater(f.ID)
		return v, err
	}
	return v, nil
}

// finishEarlier carries out what is unfinished of the district's freezes when
// that one or f lists persons: the keys of one epoch have to be wrapped or handed
// over before another freeze ends them.
func (l *Ledger) finishEarlier(ctx context.Context, f domain.Freeze) error {
	for _, earlier := range l.register.Freezes() {
		o := earlier.Order
		if o.Freeze == f.ID || o.District != f.District || l.done(earlier) || !o.ListsPersons() && len(f.Persons) == 0 {
			continue
		}
		if err := l.carryOut(ctx, o.Freeze); err != nil {
			return fmt.Errorf("an earlier freeze of this district has to be finished first: %w", err)
		}
	}
	return nil
}

// orderFreeze puts the order into the ledger. A sandbox ledger makes itself an
// authority's key where none was adopted.
//
// What cannot be handed over is not ordered: keys that are lost would leave a
// freeze that never ends.
func (l *Ledger) orderFreeze(ctx context.Context, as Caller, f domain.Freeze) (domain.Verdict, error) {
	if f.Mode != domain.Erase && as.Authority {
		for _, c := range l.register.Now().Open(f.District, f.Groups) {
			// Destroyed keys are another matter: of data put back from before a
			// freeze, whose handover there is.
			if s := l.vault.State(c.Cohort); s != vault.KeyLive && s != vault.KeyDestroyed {
				return domain.Verdict{}, fmt.Errorf("the key of cohort %s cannot be handed over; put the ledger's keys back, or order the freeze with the mode erase: %w", c.Cohort, vault.ErrKeyMissing)
			}
		}
	}
	if _, adopted := l.register.AuthorityKey(); l.sandbox.Load() && !adopted && f.Mode != domain.Erase {
		key, err := l.vault.SandboxAuthorityKey()
		if err != nil {
			return domain.Verdict{}, err
		}
		if err := l.adopt(ctx, key.Public(), f.At); err != nil {
			return domain.Verdict{}, err
		}
	}
	verdicts, err := l.submitRun(ctx, as, []domain.Submission{f})
	if err != nil {
		return domain.Verdict{}, err
	}
	return verdicts[0], nil
}

// carryOut takes a freeze from its first missing step to this node's last. Every
// step can be done again, and finds out from the ledger whether it is done:
//
//	barrier    from here on every node refuses to open the cohorts' details
//	photo IDs  kept as sorted sets without persons, so that nobody registers twice
//	register   the people's mobile and photo-ID tokens purged from its files
//	handover   the keys sealed to the authority, on disk, its hash in the ledger
//	rekeying   of listed persons' cohorts: a new key epoch, who stays wrapped under it
//	keys       overwritten in their sectors
//	people     the span purged from the people view's files
//	holders    what is above the ledger: bundles that wait, and the quarantine
//
// Each holder's acknowledgement is in the ledger before the next step.
//
// The freezing lock is held.
func (l *Ledger) carryOut(ctx context.Context, id domain.UUID) error {
	f, ok := l.freeze(id)
	if !ok {
		return fmt.Errorf("freeze %s: %w", id, ErrNotFound)
	}
	steps := []struct {
		name string
		do   func(context.Context, projections.FreezeState) error
	}{
		{"raise the barrier", l.raiseBarrier},
		{"keep the photo IDs", l.keepPhotoIDs},
		{"purge the register", l.purgeRegister},
		{"hand the keys over", l.handOver},
		{"begin a new key epoch", l.rekey},
		{"destroy the keys", l.destroyKeys},
		{"purge the people view", l.purgePeople},
		{"purge what is above the ledger", l.purgeHolders},
	}
	for _, step := range steps {
		if err := step.do(ctx, f); err != nil {
			return fmt.Errorf("freeze %s: %s: %w", id, step.name, err)
		}
		f, _ = l.freeze(id)
	}
	return nil
}

func (l *Ledger) freeze(id domain.UUID) (projections.FreezeState, bool) {
	for _, f := range l.register.Freezes() {
		if f.Order.Freeze == id {
			return f, true
		}
	}
	return projections.FreezeState{}, false
}

// resumeFreezes carries unfinished freezes to their end. A key whose destruction
// the ledger acknowledges already, and which is there again, was put back from
// somewhere: it is destroyed again, with a loud word.
func (l *Ledger) resumeFreezes(ctx context.Context) error {
	l.freezing.Lock()
	defer l.freezing.Unlock()
	if err := l.purgeAgain(ctx); err != nil {
		return err
	}
	for _, f := range l.register.Freezes() {
		if f.PurgedBy(l.vaultHolder()) {
			if err := l.destroyAgain(f.Order); err != nil {
				return err
			}
		}
		if l.done(f) {
			continue
		}
		if err := l.carryOut(ctx, f.Order.Freeze); err != nil {
			if ctx.Err() != nil {
				return err
			}
			// The freeze holds: its people are refused. The ledger goes on.
			l.log.Error(notComplete, "freeze", f.Order.Freeze.String(), "error", err)
			l.finishLater(f.Order.Freeze)
		}
	}
	return nil
}

// destroyAgain destroys keys that the ledger says are destroyed.
func (l *Ledger) destroyAgain(o domain.FreezeOrdered) error {
	back := 0
	for _, c := range cohorts(o) {
		if l.vault.State(c) == vault.KeyLive {
			back++
		}
	}
	for _, c := range o.Rekeyed {
		if l.vault.HasBefore(c.Cohort, c.Epoch) {
			back++
		}
	}
	if back == 0 {
		return nil
	}
	l.log.Error("KEYS OF A FROZEN COHORT WERE PUT BACK; they are destroyed again", "freeze", o.Freeze.String(), "keys", back)
	_, err := l.destroy(o)
	return err
}

// destroy ends the keys of whole cohorts, or of the epochs that listed persons
// were sealed in.
func (l *Ledger) destroy(o domain.FreezeOrdered) (keys int, err error) {
	if o.ListsPersons() {
		return l.vault.DestroyBefore(o.Rekeyed...)
	}
	return l.vault.Destroy(cohorts(o)...)
}

func (l *Ledger) vaultHolder() string    { return "vault@" + l.node }
func (l *Ledger) peopleHolder() string   { return "people@" + l.node }
func (l *Ledger) registerHolder() string { return "register@" + l.node }

// holders are this node's holders of what a freeze ends.
func (l *Ledger) holders() []string {
	return []string{l.peopleHolder(), l.vaultHolder(), l.registerHolder()}
}

// done tells whether all of this node's holders have acknowledged the freeze, and
// those above the ledger.
func (l *Ledger) done(f projections.FreezeState) bool {
	return !slices.ContainsFunc(l.holders(), func(h string) bool { return !f.PurgedBy(h) }) &&
		!slices.ContainsFunc(l.above, func(h Holder) bool { return h.dueOf(f) })
}

func cohorts(o domain.FreezeOrdered) []domain.Cohort {
	out := make([]domain.Cohort, len(o.Cohorts))
	for i, c := range o.Cohorts {
		out[i] = c.Cohort
	}
	return out
}

// raiseBarrier orders the freeze against every read: a read that is recorded
// before it may answer, none after it.
func (l *Ledger) raiseBarrier(ctx context.Context, f projections.FreezeState) error {
	_, order, err := l.store.LastBarrier(ctx)
	if err != nil || order >= f.Sequence {
		return err
	}
	_, err = l.store.AppendBarrier(ctx, f.Sequence)
	return err
}

func (l *Ledger) keepPhotoIDs(ctx context.Context, f projections.FreezeState) error {
	if f.PhotoIDsComplete {
		return nil
	}
	var total int64
	for _, c := range cohorts(f.Order) {
		tokens, err := l.register.PhotoIDTokens(c)
		if err != nil {
			return err
		}
		total += int64(len(tokens))
		for len(tokens) > 0 {
			n := min(len(tokens), photoIDChunk)
			kept := domain.PhotoIDsKept{Freeze: f.Order.Freeze, Cohort: c, Tokens: tokens[:n]}
			if err := l.note(ctx, c.District, f.Recorded, kept); err != nil {
				return err
			}
			tokens = tokens[n:]
		}
	}
	return l.note(ctx, 0, f.Recorded, domain.PhotoIDsComplete{Freeze: f.Order.Freeze, Tokens: total})
}

// purgeRegister removes the frozen people's mobile and photo-ID tokens from the
// register's files; the set without persons stays.
func (l *Ledger) purgeRegister(ctx context.Context, f projections.FreezeState) error {
	if f.PurgedBy(l.registerHolder()) {
		return nil
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	purge, err := l.register.Purge(ctx, f.Order.Freeze)
	if err != nil {
		return err
	}
	return l.note(ctx, 0, f.Recorded, domain.Purged{Freeze: f.Order.Freeze, Holder: l.registerHolder(), Rows: purge.Rows, Residue: purge.Residue})
}

func (l *Ledger) handoverPath(id domain.UUID) string {
	return filepath.Join(l.config.Data, "handovers", id.String()+".handover")
}

func (l *Ledger) handOver(ctx context.Context, f projections.FreezeState) error {
	if f.Order.Mode == domain.Erase || f.Handover != nil {
		return nil
	}
	adopted, ok := l.register.AuthorityKey()
	if !ok {
		return errors.New("no authority key is adopted; run: bahi authority adopt")
	}
	to, err := vault.NewAuthorityPublicKey(adopted.Public)
	if err != nil {
		return err
	}
	path := l.handoverPath(f.Order.Freeze)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var hash [32]byte
	if f.Order.ListsPersons() {
		hash, err = l.vault.WriteHandoverOfListed(path, f.Order.Freeze, handedOver(f.Order), to)
	} else {
		hash, err = l.vault.WriteHandover(path, f.Order.Freeze, cohorts(f.Order), to)
	}
	if err != nil {
		return err
	}
	return l.note(ctx, 0, f.Recorded, domain.HandoverMade{Freeze: f.Order.Freeze, SHA256: hash, Key: adopted.Key})
}

func (l *Ledger) destroyKeys(ctx context.Context, f projections.FreezeState) error {
	if f.PurgedBy(l.vaultHolder()) {
		return nil
	}
	// Whoever reads must find the wrapped keys when the others are gone.
	if err := l.runner.WaitTold(ctx, f.Rekeyed); err != nil {
		return err
	}
	keys, err := l.destroy(f.Order)
	if err != nil {
		return err
	}
	return l.note(ctx, 0, f.Recorded, domain.Purged{Freeze: f.Order.Freeze, Holder: l.vaultHolder(), Keys: int64(keys)})
}

func (l *Ledger) purgePeople(ctx context.Context, f projections.FreezeState) error {
	if f.PurgedBy(l.peopleHolder()) {
		return nil
	}
	if err := l.runner.WaitTold(ctx, f.Sequence); err != nil {
		return err
	}
	purge, err := l.people.Purge(ctx, f.Order.Freeze)
	if err != nil {
		return err
	}
	return l.note(ctx, 0, f.Recorded, domain.Purged{Freeze: f.Order.Freeze, Holder: l.peopleHolder(), Rows: purge.Rows, Residue: purge.Residue})
}

// note appends an event of the ledger's own; district 0 is the orders'.
func (l *Ledger) note(ctx context.Context, district domain.District, at time.Time, events ...domain.Event) error {
	b := newBatch(len(events))
	asks := make([]*ask, len(events))
	for i, e := range events {
		asks[i] = &ask{event: e, district: district, at: at, batch: b, place: i}
	}
	if err := l.enqueue(ctx, asks); err != nil {
		return err
	}
	_, err := l.await(ctx, b)
	return err
}

func (l *Ledger) receipt(f projections.FreezeState) FreezeReceipt {
	r := FreezeReceipt{
		Freeze:      f.Order.Freeze,
		Commit:      f.Sequence,
		District:    f.Order.District,
		Groups:      f.Order.Groups,
		Listed:      f.Order.Listed,
		Mode:        f.Order.Mode,
		Purged:      []PurgedBy{},
		CompletedAt: f.Completed.In(domain.IndianStandardTime),
	}
	switch {
	case f.Order.ListsPersons() && r.Groups == nil:
		r.Groups = []domain.Group{}
	case len(r.Groups) == 0 && !f.Order.ListsPersons():
		r.Groups = domain.Groups()
	}
	for _, c := range f.Order.Cohorts {
		r.People += c.People
	}
	if f.Handover != nil {
		r.Handover = l.handoverPath(f.Order.Freeze)
	}
	for _, p := range f.Purged {
		by := PurgedBy{Holder: p.Holder}
		if p.Keys == 0 {
			by.Rows, by.Residue = &p.Rows, &p.Residue
		}
		r.KeysDestroyed += p.Keys
		r.Purged = append(r.Purged, by)
	}
	slices.SortStableFunc(r.Purged, func(a, b PurgedBy) int { return cmp.Compare(rank(a.Holder), rank(b.Holder)) })
	return r
}

// rank puts whom a freeze is about first: the views that show details, then the
// keys to them, then the rest.
func rank(holder string) int {
	kind, _, _ := strings.Cut(holder, "@")
	if i := slices.Index([]string{"people", "vault", "register"}, kind); i >= 0 {
		return i
	}
	return 3
}
