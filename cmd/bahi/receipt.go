package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/evidence"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) receiptCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "receipt",
		Short: "The signed receipt of a freeze: get it, look at it, check it offline",
		Example: `  bahi receipt get --data ./ledger 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001 --out freeze.receipt
  bahi receipt verify freeze.receipt --key ledger.pub --checkpoint kept.checkpoint`,
	}
	c.AddCommand(p.receiptGet(), p.receiptShow(), p.receiptVerify())
	return c
}

func (p *program) receiptGet() *cobra.Command {
	var out, from string
	c := &cobra.Command{
		Use:   "get FREEZE-ID",
		Short: "Sign a receipt of an earlier freeze, of the ledger as it is now",
		Long: `Get signs a new receipt of a freeze that is carried out. Everything that somebody needs to
check it is in it, but the public key. It can be seen to continue any checkpoint of the last
thousand commits; for an older one, that an auditor kept, give that with --from.`,
		Example: `  bahi receipt get --data ./ledger 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001 > freeze.receipt
  bahi receipt get --data ./ledger 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001 --from kept.checkpoint --out freeze.receipt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			kept, err := p.evidenceFile(c.Context(), from)
			if err != nil {
				return err
			}
			return p.withReceipt(c, args[0], kept, func(r evidence.Receipt) error {
				content, err := r.Marshal()
				if err != nil {
					return err
				}
				return p.writeEvidence(out, content)
			})
		},
	}
	p.ledgerFlags(c)
	c.Flags().StringVar(&out, "out", "", "write the receipt to this file (default: the standard output)")
	c.Flags().StringVar(&from, "from", "", "file with a checkpoint that was kept, older than the last thousand commits")
	return c
}

func (p *program) receiptShow() *cobra.Command {
	c := &cobra.Command{
		Use:     "show FREEZE-ID",
		Short:   "What the receipt of a freeze says, for people to read",
		Example: "  bahi receipt show --data ./ledger 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withReceipt(c, args[0], nil, func(r evidence.Receipt) error {
				_, err := fmt.Fprint(p.stdout, r.Claims)
				return err
			})
		},
	}
	p.ledgerFlags(c)
	return c
}

func (p *program) withReceipt(c *cobra.Command, id string, kept []byte, do func(evidence.Receipt) error) error {
	freeze, err := domain.ParseUUID(id)
	if err != nil {
		return usage("%w; `bahi freeze --json` told the id", err)
	}
	return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
		var from []uint64
		if kept != nil {
			_, old, err := p.keptCheckpoint(c, d, kept)
			if err != nil {
				return err
			}
			from = append(from, old.Size)
		}
		receipt, err := d.Receipt(c.Context(), freeze, from...)
		if err != nil {
			return err
		}
		return do(receipt)
	})
}

func (p *program) receiptVerify() *cobra.Command {
	var key, checkpoint string
	c := &cobra.Command{
		Use:   "verify FILE|-",
		Short: "Check a receipt offline, with the ledger's public key alone; exit code 3 when it does not hold",
		Long: `Verify checks a freeze receipt without the ledger: its signatures; that the order, every
enrolment before it and every acknowledgement after it are in the tree of its checkpoint;
that nobody is missing and nothing was left over; that its counts are of that same tree; and
with --checkpoint, that the ledger continues what somebody kept.

A proof (bahi ledger prove), signed counts (bahi counts --signed) and a checkpoint are checked
in the same way.

The public key is given with --key, as it stands or in a file. Without it the key is taken
that the ledger left in --data: then a file is checked, not the ledger.`,
		Example: `  bahi receipt verify freeze.receipt --key ledger.pub
  bahi receipt verify freeze.receipt --key ledger.pub --checkpoint kept.checkpoint --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			content, err := p.evidenceFile(c.Context(), args[0])
			if err != nil {
				return err
			}
			kept, err := p.evidenceFile(c.Context(), checkpoint)
			if err != nil {
				return err
			}
			keys, err := p.auditorsKeys(c.Context(), key)
			if err != nil {
				return err
			}
			found, err := check(content, kept, keys)
			return p.printFinding(found, err)
		},
	}
	p.jsonFlag(c)
	c.Flags().StringVar(&p.data, "data", "bahi-data", "directory of a ledger whose word is taken for its key, when --key is not given")
	c.Flags().StringVar(&key, "key", "", "the ledger's public key, or a file with it")
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a checkpoint that was kept")
	return c
}

// auditorsKeys reads the public keys that evidence is checked with.
func (p *program) auditorsKeys(ctx context.Context, key string) (evidence.Keys, error) {
	text := key
	if !strings.Contains(key, "+") || fileExists(key) {
		name := key
		if name == "" {
			name = ledger.CheckpointPublicKeys(p.data)
			if !fileExists(name) {
				return evidence.Keys{}, usage("the ledger's public key is needed; give it with --key (`bahi ledger public-key` prints it)")
			}
			fmt.Fprintf(p.stderr, "bahi: the key is the one in %s; an auditor gives one that came by another way, with --key\n", name)
		}
		b, err := p.evidenceFile(ctx, name)
		if err != nil {
			return evidence.Keys{}, err
		}
		text = string(b)
	}
	keys, err := evidence.ParseKeys(text)
	if err != nil {
		return keys, usage("--key: %w", err)
	}
	return keys, nil
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// finding is what a check of evidence found.
type finding struct {
	Verified  bool            `json:"verified"`
	Kind      string          `json:"kind"`
	Reason    string          `json:"reason,omitempty"` // why it does not hold
	Origin    string          `json:"origin,omitempty"`
	Commits   uint64          `json:"commits,omitempty"` // that the checkpoint covers
	Root      string          `json:"root,omitempty"`
	Continues bool            `json:"continues_checkpoint"` // the kept one that was given
	Freeze    *domain.UUID    `json:"freeze,omitempty"`
	District  domain.District `json:"district,omitempty"`
	People    int64           `json:"people,omitempty"`
	Holders   []string        `json:"holders,omitempty"` // enrolled before the order; each has acknowledged
	Counts    *counted        `json:"counts,omitempty"`
}

// counted are the figures of a statement, as they are printed.
type counted struct {
	AsOf       domain.Day `json:"as_of"`
	Registered int64      `json:"registered"`
	Dose1      int64      `json:"dose1"`
	Dose2      int64      `json:"dose2"`
	Frozen     int64      `json:"frozen"`
}

// check checks any evidence; the error is why it does not hold.
func check(content, kept []byte, keys evidence.Keys) (found finding, err error) {
	found.Kind = kind(content)
	var earlier *evidence.Checkpoint
	if kept != nil {
		c, err := evidence.OpenCheckpoint(kept, keys)
		if err != nil {
			return found, fmt.Errorf("the kept checkpoint: %w", err)
		}
		earlier = &c
	}
	tree := evidence.Checkpoint{}
	switch found.Kind {
	case "freeze receipt":
		receipt, err := evidence.ParseReceipt(content)
		if err != nil {
			return found, err
		}
		report, err := receipt.Check(keys, earlier)
		if err != nil {
			return found, err
		}
		tree = report.Checkpoint
		found.Freeze, found.District, found.People = &report.Claims.Freeze, report.Claims.District, report.Claims.People
		for _, h := range report.Claims.Holders {
			found.Holders = append(found.Holders, h.Name)
		}
		found.Counts = countedOf(report.Statement)
	case "count statement":
		s, err := evidence.OpenStatement(content, keys)
		if err != nil {
			return found, err
		}
		tree, found.District, found.Counts = s.Tree, s.District, countedOf(s)
	case "checkpoint":
		if tree, err = evidence.OpenCheckpoint(content, keys); err != nil {
			return found, err
		}
	default:
		proof, err := evidence.ParseProof(content)
		if err != nil {
			return found, err
		}
		if tree, err = proof.Check(keys, earlier); err != nil {
			return found, err
		}
	}
	if earlier != nil && (found.Kind == "checkpoint" || found.Kind == "count statement") {
		if err := tree.Continues(*earlier); err != nil {
			return found, err
		}
	}
	found.Verified, found.Continues = true, earlier != nil
	found.Origin, found.Commits, found.Root = tree.Origin, tree.Size, tree.Root.String()
	return found, nil
}

func countedOf(s evidence.Statement) *counted {
	return &counted{AsOf: s.AsOf, Registered: s.Registered, Dose1: s.Dose1, Dose2: s.Dose2, Frozen: s.Frozen}
}

func (p *program) printFinding(f finding, failed error) error {
	if failed != nil {
		f.Reason = failed.Error()
	}
	if p.json {
		if err := p.print(f); err != nil {
			return err
		}
		if failed != nil {
			return exit{exitMismatch, errors.New("the " + f.Kind + " does not hold")}
		}
		return nil
	}
	if failed != nil {
		return exit{exitMismatch, fmt.Errorf("the %s does not hold: %w", f.Kind, failed)}
	}
	fmt.Fprintf(p.stdout, "%s of %s: it holds\n  signed      with the key given\n  tree        %s commits, root %s\n", f.Kind, f.Origin, grouped(int64(f.Commits)), f.Root)
	if f.Freeze != nil {
		fmt.Fprintf(p.stdout, "  freeze      %s: %s people of %s (%d), by their order\n", f.Freeze, grouped(f.People), domain.DistrictName(f.District), f.District)
		fmt.Fprintf(p.stdout, "  holders     %s: enrolled before the order, acknowledged after it, nothing left over\n", strings.Join(f.Holders, ", "))
	}
	if f.Counts != nil {
		fmt.Fprintf(p.stdout, "  counts      of the same tree, as of %s: %s registered, %s first and %s second doses, %s frozen\n",
			f.Counts.AsOf, grouped(f.Counts.Registered), grouped(f.Counts.Dose1), grouped(f.Counts.Dose2), grouped(f.Counts.Frozen))
	}
	if f.Continues {
		fmt.Fprintln(p.stdout, "  history     continues the kept checkpoint: nothing was rewritten")
	}
	return nil
}
