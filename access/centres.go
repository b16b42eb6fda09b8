package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nkeys"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// Certificate tells which registered centre a client certificate is of, by its
// public key. That the caller holds the private half is for the TLS handshake to
// have shown; who signed the certificate does not matter.
//
// Errors: [ErrUnknownToken], [ErrExpired], [ErrLocked], [ErrUnavailable].
func (r *Registry) Certificate(_ context.Context, certificate *x509.Certificate) (Principal, error) {
	sum := Fingerprint(certificate)
	r.mu.RLock()
	at, ok := r.certificates[sum]
	r.mu.RUnlock()
	if !ok {
		return Principal{}, ErrUnknownToken
	}
	if r.config.Now().Before(certificate.NotBefore.Add(-leeway)) {
		return Principal{}, ErrExpired
	}
	p := Principal{
		Token: certificateToken + sum[:12], Role: vault.RoleCentre, District: at.district, Centre: at.code, Expires: certificate.NotAfter,
	}
	return p, r.letIn(p)
}

// Fingerprint is what a centre's certificate is registered by: SHA-256 of its
// public key, so that it can be renewed with the same key. 64 hexadecimal digits.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// AddCentre lets a centre connect, or gives one that may already other keys in
// place of those it had: connections with the old ones are cut off. One without keys
// comes with tokens alone. Once a district has registered a centre, tokens are of its
// registered centres only. The authority
// and the operator may. Errors: [ErrForbidden], [ErrBadCentre], [ErrTooMany].
func (r *Registry) AddCentre(ctx context.Context, by Principal, c Centre) error {
	if err := mayManage(by, vault.RoleCentre); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	err := r.record(ctx, func() (eventstore.AuditAccess, error) {
		if err := r.free(c); err != nil {
			return eventstore.AuditAccess{}, err
		}
		return c.event(eventstore.CentreAdded, by, r.config.Now()), nil
	})
	if err != nil {
		return err
	}
	return r.admit()
}

// RemoveCentre shuts a centre out: nkey and certificate are not taken any more, and
// connections of the embedded NATS server are cut off. Tokens that were issued
// for it until then are revoked with it, and none is issued until it is added again. Errors: [ErrForbidden], [ErrNotFound].
func (r *Registry) RemoveCentre(ctx context.Context, by Principal, district domain.District, code string) error {
	if err := mayManage(by, vault.RoleCentre); err != nil {
		return err
	}
	err := r.record(ctx, func() (eventstore.AuditAccess, error) {
		c, ok := r.centres[place{district, code}]
		if !ok {
			return eventstore.AuditAccess{}, fmt.Errorf("no such centre is registered: %w", ErrNotFound)
		}
		return c.event(eventstore.CentreRemoved, by, r.config.Now()), nil
	})
	if err != nil {
		return err
	}
	return r.admit()
}

// Centres returns the centres that may connect, by district and code.
func (r *Registry) Centres() []Centre {
	r.mu.RLock()
	centres := make([]Centre, 0, len(r.centres))
	for _, c := range r.centres {
		centres = append(centres, c)
	}
	r.mu.RUnlock()
	slices.SortFunc(centres, func(a, b Centre) int {
		return cmp.Or(cmp.Compare(a.District, b.District), cmp.Compare(a.Code, b.Code))
	})
	return centres
}

// check tells why a centre cannot be registered so.
func (c Centre) check() error {
	bad := func(why string) error { return fmt.Errorf("%w: %s", ErrBadCentre, why) }
	if !domain.KnownDistrict(c.District) {
		return bad(fmt.Sprintf("no district has the LGD code %d", c.District))
	}
	if err := domain.CheckCentre(c.Code); err != nil {
		return bad(err.Error())
	}
	if c.NKey != "" && !nkeys.IsValidPublicUserKey(c.NKey) {
		return bad("an nkey is the public key of a user, U and 55 letters and digits; the seed stays at the centre")
	}
	if sum, err := hex.DecodeString(c.Certificate); err != nil || len(sum) != 0 && len(sum) != sha256.Size || hex.EncodeToString(sum) != c.Certificate {
		return bad("a certificate is registered by the SHA-256 of its public key, 64 hexadecimal digits in lower case")
	}
	return nil
}

// free tells whether the keys of a centre are nobody else's, and room is left.
func (r *Registry) free(c Centre) error {
	at := place{c.District, c.Code}
	for _, taken := range []struct {
		by    map[string]place
		key   string
		named string
	}{{r.nkeys, c.NKey, "nkey"}, {r.certificates, c.Certificate, "certificate"}} {
		if of, ok := taken.by[taken.key]; ok && of != at {
			return fmt.Errorf("%w: this %s is the one of centre %s of district %d", ErrBadCentre, taken.named, of.code, of.district)
		}
	}
	if _, ok := r.centres[at]; !ok && len(r.centres) >= maxCentres {
		return fmt.Errorf("%w: %d centres are registered", ErrTooMany, maxCentres)
	}
	return nil
}

func (c Centre) event(kind eventstore.AccessKind, by Principal, at time.Time) eventstore.AuditAccess {
	sum, _ := hex.DecodeString(c.Certificate) // checked when it was registered
	return eventstore.AuditAccess{
		At: at, Kind: kind, District: c.District, Centre: c.Code, NKey: c.NKey, Certificate: sum, By: by.Token,
	}
}

func centreOf(a eventstore.AuditAccess) Centre {
	return Centre{District: a.District, Code: a.Centre, NKey: a.NKey, Certificate: hex.EncodeToString(a.Certificate)}
}

// unregistered tells of a place that it is no centre, though its district registers
// them. A district without any has tokens for whichever centre they are issued for.
// It is called with mu held.
func (r *Registry) unregistered(at place) bool {
	_, known := r.centres[at]
	return r.registering[at.district] && !known
}

// addCentre and dropCentre are called with mu held.

func (r *Registry) addCentre(c Centre) {
	at := place{c.District, c.Code}
	r.centres[at] = c
	if c.NKey != "" {
		r.nkeys[c.NKey] = at
	}
	if c.Certificate != "" {
		r.certificates[c.Certificate] = at
	}
	r.tellChanged()
}

func (r *Registry) dropCentre(at place) {
	c, ok := r.centres[at]
	if !ok {
		return
	}
	delete(r.centres, at)
	delete(r.nkeys, c.NKey)
	delete(r.certificates, c.Certificate)
	r.tellChanged()
}

func (r *Registry) tellChanged() {
	select {
	case r.changed <- struct{}{}:
	default: // whoever is told looks at all of them
	}
}

// admit tells the embedded NATS server which centres may connect.
func (r *Registry) admit() error {
	r.admitting.Lock()
	defer r.admitting.Unlock()
	var users []eventstore.CentreUser
	for _, c := range r.Centres() {
		if c.NKey != "" {
			users = append(users, eventstore.CentreUser{District: c.District, Centre: c.Code, NKey: c.NKey})
		}
	}
	if err := r.config.Store.SetCentres(users); err != nil {
		return fmt.Errorf("tell the NATS server which centres may connect: %w", err)
	}
	return nil
}

// keepAdmitting admits centres that other nodes registered.
func (r *Registry) keepAdmitting(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		}
		if err := r.admit(); err != nil {
			r.config.Log.Warn("the NATS server does not know which centres may connect", "error", err)
		}
	}
}
