package main

import (
	"context"
	"errors"
	"iter"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
)

// accessDoor is the part of a door that says who may come in.
type accessDoor interface {
	IssueToken(context.Context, access.Grant) (access.Issued, error)
	RevokeToken(ctx context.Context, id string) error
	UnlockToken(ctx context.Context, id string) error
	Tokens(context.Context) ([]access.Token, error)
	AddCentre(context.Context, access.Centre) error
	RemoveCentre(ctx context.Context, district domain.District, code string) error
	Centres(context.Context) ([]access.Centre, error)
	AccessList(context.Context) iter.Seq2[eventstore.AuditAccess, error]
}

// access opens the registry for one call, made in the caller's role.
func (d direct) access(ctx context.Context, do func(*access.Registry, access.Principal) error) error {
	r, err := access.Open(ctx, access.Config{Store: d.Store(), Vault: d.Vault(), Origin: d.Origin()})
	if err != nil {
		return err
	}
	return errors.Join(do(r, access.Installation(d.caller.Name)), r.Close())
}

func (d direct) IssueToken(ctx context.Context, g access.Grant) (issued access.Issued, err error) {
	err = d.access(ctx, func(r *access.Registry, by access.Principal) error {
		issued, err = r.Issue(ctx, by, g)
		return err
	})
	return issued, err
}

func (d direct) RevokeToken(ctx context.Context, id string) error {
	return d.access(ctx, func(r *access.Registry, by access.Principal) error { return r.Revoke(ctx, by, id) })
}

func (d direct) UnlockToken(ctx context.Context, id string) error {
	return d.access(ctx, func(r *access.Registry, by access.Principal) error { return r.Unlock(ctx, by, id) })
}

func (d direct) Tokens(ctx context.Context) (tokens []access.Token, err error) {
	err = d.access(ctx, func(r *access.Registry, _ access.Principal) error {
		tokens = r.Tokens()
		return nil
	})
	return tokens, err
}

func (d direct) AddCentre(ctx context.Context, c access.Centre) error {
	return d.access(ctx, func(r *access.Registry, by access.Principal) error { return r.AddCentre(ctx, by, c) })
}

func (d direct) RemoveCentre(ctx context.Context, district domain.District, code string) error {
	return d.access(ctx, func(r *access.Registry, by access.Principal) error { return r.RemoveCentre(ctx, by, district, code) })
}

func (d direct) Centres(ctx context.Context) (centres []access.Centre, err error) {
	err = d.access(ctx, func(r *access.Registry, _ access.Principal) error {
		centres = r.Centres()
		return nil
	})
	return centres, err
}
