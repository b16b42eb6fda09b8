package main

import (
	"errors"
	"fmt"
	"os"

	"bahi/evidence"
	"bahi/ledger"
	"bahi/vault"
)

// open opens the story's ledger, or a copy of it, with the story's keys.
func (s *story) open(data string) (err error) {
	s.ledger, err = ledger.Open(s.ctx, ledger.Config{Data: data, Keys: s.data + "-keys", Sandbox: true, Holders: doorsPart})
	return err
}

// save copies the data aside, as a backup would, without the keys.
func (s *story) save() error {
	if err := s.ledger.Close(s.ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bahi-demo-saved-")
	if err != nil {
		return err
	}
	s.saved = dir
	if err := os.CopyFS(dir, os.DirFS(s.data)); err != nil {
		return err
	}
	s.say("  the day before, somebody saved a copy of the data directory\n")
	return s.open(s.data)
}

// authorityAnswers opens one frozen person's record as the authority does.
func (s *story) authorityAnswers() error {
	// In a sandbox the authority's private key lies beside the keys. A real one
	// never does.
	key, err := s.ledger.Vault().SandboxAuthorityKey()
	if err != nil {
		return err
	}
	file, err := os.ReadFile(s.receipt.Handover)
	if err != nil {
		return err
	}
	handover, err := vault.OpenHandover(file, key)
	if err != nil {
		return err
	}
	d, err := s.ledger.OpenFrozen(s.ctx, ledger.Authority{Key: key, Handover: handover}, s.LookUp, "authority-1")
	if err != nil {
		return err
	}
	s.say("  with its offline key and the handover, the authority answers: %s, %s, %d doses\n", d.Name, d.Status, len(d.Doses))
	stranger, err := vault.GenerateAuthorityKey()
	if err != nil {
		return err
	}
	if _, err := vault.OpenHandover(file, stranger); !errors.Is(err, vault.ErrOtherKey) {
		return fmt.Errorf("the handover opens with another key: %w", err)
	}
	s.show("the authority, and nobody without its key, still answers a citizen")
	return nil
}

// auditReceipt checks the freeze's receipt with the ledger's public key alone.
func (s *story) auditReceipt() error {
	text, err := s.ledger.PublicKeys()
	if err != nil {
		return err
	}
	keys, err := evidence.ParseKeys(text)
	if err != nil {
		return err
	}
	file, err := os.ReadFile(s.receipt.Receipt)
	if err != nil {
		return err
	}
	receipt, err := evidence.ParseReceipt(file)
	if err != nil {
		return err
	}
	if _, err := receipt.Check(keys, nil); err != nil {
		return err
	}
	s.say("  the receipt, %s bytes, checked with the public key alone: order, %d acknowledgements, counts, one tree of commits\n", grouped(int64(len(file))), len(s.receipt.Purged))
	dropped := receipt
	dropped.Commits = receipt.Commits[:len(receipt.Commits)-1]
	if _, err := dropped.Check(keys, nil); err == nil {
		return errors.New("a receipt without its last acknowledgement is believed")
	}
	s.say("  the same receipt with one acknowledgement taken out: refused\n")
	s.show("the freeze's receipt checked offline; with an acknowledgement missing it fails")
	return nil
}

// putBack opens the copy from before the freeze with today's keys.
func (s *story) putBack() error {
	if err := s.ledger.Close(s.ctx); err != nil {
		return err
	}
	if err := s.open(s.saved); err != nil {
		return err
	}
	_, err := s.ledger.Person(s.ctx, s.LookUp, ledger.Reader{Officer: "dio-208-3", Purpose: "verification"})
	if !errors.Is(err, ledger.ErrFrozen) {
		return fmt.Errorf("the copy from before the freeze answers %w", err)
	}
	s.say("  put back, with today's keys: it lists %s people and opens none\n", grouped(s.AtFreeze.Registered))
	s.show("a copy of the data from before the freeze, put back, yields nobody")
	if err := s.ledger.Close(s.ctx); err != nil {
		return err
	}
	return s.open(s.data)
}
