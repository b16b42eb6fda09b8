package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"bahi/evidence"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) ledgerProve() *cobra.Command {
	var commit uint64
	var from string
	c := &cobra.Command{
		Use:   "prove --commit N | --from CHECKPOINT",
		Short: "Prove that a commit is in the ledger, or that it continues a kept checkpoint",
		Long: `Prove prints a proof as JSON. With --commit it is one of inclusion: the commit's leaf
and the hashes that lead from it to the root of a signed checkpoint. With --from it is
one of consistency: it shows that the ledger still has everything that a checkpoint
covers which somebody kept, and only has been added to. Both are those of RFC 6962, and
are checked with the public key alone: bahi receipt verify.`,
		Example: `  bahi ledger prove --data ./ledger --commit 7 > commit-7.json
  bahi ledger prove --data ./ledger --from kept.checkpoint > since.json`,
		RunE: func(c *cobra.Command, _ []string) error {
			kept, err := p.evidenceFile(c.Context(), from)
			if err != nil {
				return err
			}
			return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
				if kept == nil {
					proof, err := d.Prove(c.Context(), commit)
					if err != nil {
						return err
					}
					return p.print(proof)
				}
				keys, old, err := p.keptCheckpoint(c, d, kept)
				if err != nil {
					return err
				}
				proof, err := d.ProveFrom(c.Context(), old.Size)
				if errors.Is(err, ledger.ErrNotFound) {
					return mismatch("the kept checkpoint covers %d commits, and the ledger does not have so many: commits are missing", old.Size)
				}
				if err != nil {
					return err
				}
				if _, err := proof.Check(keys, &old); err != nil {
					return exit{exitMismatch, err}
				}
				return p.print(proof)
			})
		},
	}
	p.ledgerFlags(c)
	c.Flags().Uint64Var(&commit, "commit", 0, "sequence of the commit, from 1")
	c.Flags().StringVar(&from, "from", "", "file with the kept checkpoint")
	c.MarkFlagsOneRequired("commit", "from")
	return c
}

// keptCheckpoint opens a checkpoint that somebody kept, with the ledger's keys.
func (p *program) keptCheckpoint(c *cobra.Command, d door, kept []byte) (evidence.Keys, evidence.Checkpoint, error) {
	info, err := d.Info(c.Context())
	if err != nil {
		return evidence.Keys{}, evidence.Checkpoint{}, err
	}
	keys, err := evidence.ParseKeys(info.PublicKey)
	if err != nil {
		return keys, evidence.Checkpoint{}, mismatch("the ledger is empty, and has no part in the kept checkpoint")
	}
	old, err := evidence.OpenCheckpoint(kept, keys)
	if err != nil {
		return keys, old, exit{exitMismatch, fmt.Errorf("the kept checkpoint: %w", err)}
	}
	return keys, old, nil
}

func mismatch(format string, args ...any) error {
	return exit{exitMismatch, fmt.Errorf(format, args...)}
}

// evidenceFile reads a file that holds evidence, or may; nil for no name. Its size
// is bounded by who reads it.
func (p *program) evidenceFile(ctx context.Context, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	in, err := p.input(ctx, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, evidence.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return append([]byte{}, b...), nil
}

func (p *program) ledgerPublicKey() *cobra.Command {
	c := &cobra.Command{
		Use:   "public-key",
		Short: "Print the public key with which checkpoints, signed counts and receipts are checked",
		Long: `Public-key prints the ledger's public keys, the present one first and below it those
that were rotated away. They are no secret. Give them to auditors by another way than the
evidence: that a key is this ledger's is what it cannot prove by itself.`,
		Example: "  bahi ledger public-key --data ./ledger > ledger.pub",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				info, err := d.Info(c.Context())
				if err != nil {
					return err
				}
				if info.PublicKey == "" {
					return fmt.Errorf("the ledger is empty, and has no name to sign with yet: %w", ledger.ErrNotFound)
				}
				_, err = io.WriteString(p.stdout, info.PublicKey)
				return err
			})
		},
	}
	p.ledgerFlags(c)
	return c
}

func (p *program) ledgerRotateKey() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate-key",
		Short: "Sign with a new key from now on; what the old one signed is checked as before",
		Long: `Rotate-key makes a new signing key and forgets the private part of the present one. Give
the new public key to auditors. It needs the data and keys directories: stop the service
first.`,
		Example: "  bahi ledger rotate-key --data ./ledger",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				own, ok := d.(direct)
				if !ok {
					return fmt.Errorf("a running service keeps its keys to itself; stop it, and rotate the key with --data")
				}
				if err := own.Vault().RotateSigningKey(); err != nil {
					return err
				}
				_, err := fmt.Fprintf(p.stdout, "the signing key is now %s\n", own.Vault().SigningKeyID())
				return err
			})
		},
	}
	p.ledgerFlags(c)
	return c
}

// writeEvidence writes evidence to a file, or to the standard output for no name.
func (p *program) writeEvidence(name string, content []byte) error {
	if name == "" {
		_, err := p.stdout.Write(content)
		return err
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return exit{exitFailed, err}
	}
	return nil
}

// kind tells what a file with evidence is.
func kind(content []byte) string {
	var head struct {
		Format string `json:"format"`
		Type   string `json:"type"`
	}
	switch {
	case json.Unmarshal(content, &head) == nil && head.Type != "":
		return "proof of " + head.Type
	case head.Format != "":
		return "freeze receipt"
	case evidence.IsStatement(content):
		return "count statement"
	}
	return "checkpoint"
}
