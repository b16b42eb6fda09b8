package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bahi/vault"
)

func (p *program) authorityCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "authority",
		Short: "The national authority's offline key: make it, make a ledger use it",
		Long: `A freeze in the mode handover seals the keys of the frozen people to the national
authority's key before it destroys them. The key is made and kept offline; the
ledger knows its public half only, and adopts it when its owner has shown that
the private half can open what is sealed to it.`,
		Example: `  bahi authority keygen --out authority.key
  bahi authority adopt --data ./ledger authority.key
or, with the private key on a machine of its own:
  bahi authority adopt --data ./ledger authority.key.pub --challenge challenge.txt
  bahi authority answer --key authority.key challenge.txt > answer.txt
  bahi authority adopt --data ./ledger authority.key.pub --challenge challenge.txt --answer answer.txt`,
	}
	c.AddCommand(p.authorityKeygen(), p.authorityAdopt(), p.authorityAnswer(), p.authorityOpen())
	return c
}

func (p *program) authorityKeygen() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:     "keygen --out FILE",
		Short:   "Make a key: FILE is private, FILE.pub is for the ledger",
		Example: "  bahi authority keygen --out authority.key",
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := vault.GenerateAuthorityKey()
			if err != nil {
				return err
			}
			private, err := key.Marshal()
			if err != nil {
				return err
			}
			if err := writeNew(out, private, 0o600); err != nil {
				return err
			}
			if err := writeNew(out+".pub", key.Public().Marshal(), 0o644); err != nil {
				return err
			}
			id := fmt.Sprintf("%x", key.Public().ID())
			if p.json {
				return p.print(map[string]string{"key": id, "private": out, "public": out + ".pub"})
			}
			fmt.Fprintf(p.stdout, "key %s\nprivate half in %s: keep it offline, in two places; without it no handover opens\npublic half in %s.pub: for the ledger\n", id, out, out)
			return nil
		},
	}
	p.jsonFlag(c)
	c.Flags().StringVar(&out, "out", "authority.key", "file of the private half")
	return c
}

// writeNew writes a file that must not exist: a key is never overwritten.
func writeNew(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return exit{exitUsage, fmt.Errorf("%s exists; a key is not overwritten, give another --out", name)}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func (p *program) authorityAdopt() *cobra.Command {
	var at, challengeFile, answerFile string
	c := &cobra.Command{
		Use:   "adopt KEYFILE",
		Short: "Make the ledger seal its handovers to this key",
		Long: `Adopt takes the private key file, has it open a challenge, and keeps the public
half. Or it takes the public key file in two steps: with --challenge it writes a
challenge that the key's owner answers offline (bahi authority answer), and with
--challenge and --answer it adopts the key.`,
		Example: `  bahi authority adopt --data ./ledger authority.key
  bahi authority adopt --data ./ledger authority.key.pub --challenge challenge.txt --answer answer.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := os.ReadFile(args[0])
			if err != nil {
				return exit{exitUsage, err}
			}
			public, proven, err := p.prove(file, challengeFile, answerFile)
			if err != nil || !proven {
				return err
			}
			h, err := heading("", at)
			if err != nil {
				return usage("--at: %w", err)
			}
			return p.withNew(c.Context(), vault.RoleAuthority, func(d door) error {
				if err := d.AdoptAuthorityKey(c.Context(), public, h.At); err != nil {
					return err
				}
				id := fmt.Sprintf("%x", public.ID())
				if p.json {
					return p.print(map[string]string{"adopted": id})
				}
				fmt.Fprintf(p.stdout, "adopted key %s; handovers go to it from now on\n", id)
				return nil
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	p.sandboxFlag(c)
	f := c.Flags()
	f.StringVar(&at, "at", "", "when it was adopted (default: now)")
	f.StringVar(&challengeFile, "challenge", "", "file of the challenge, for a public key")
	f.StringVar(&answerFile, "answer", "", "file of the answer to it")
	return c
}

// prove tells whether the owner of the key can open what is sealed to it; false
// without an error when a challenge was written and waits for its answer.
func (p *program) prove(file []byte, challengeFile, answerFile string) (vault.AuthorityPublicKey, bool, error) {
	if key, err := vault.ParseAuthorityKey(file); err == nil {
		challenge, expected, err := vault.NewChallenge(key.Public())
		if err != nil {
			return vault.AuthorityPublicKey{}, false, err
		}
		answer, err := key.Answer(challenge)
		if err != nil || subtle.ConstantTimeCompare(answer, expected) != 1 {
			return vault.AuthorityPublicKey{}, false, errors.New("the key does not open what is sealed to it; make another with `bahi authority keygen`")
		}
		return key.Public(), true, nil
	}
	public, err := vault.ParseAuthorityPublicKey(file)
	if err != nil {
		return public, false, exit{exitUsage, fmt.Errorf("this is no authority key file: %w", err)}
	}
	if challengeFile == "" {
		return public, false, usage("a public key is adopted in two steps; give --challenge FILE, see `bahi authority adopt --help`")
	}
	if answerFile == "" {
		return public, false, p.challenge(public, challengeFile)
	}
	return public, true, checkAnswer(challengeFile, answerFile)
}

// challenge writes a challenge for the key's owner. What it holds stays beside
// it, as a file that only this side reads.
func (p *program) challenge(public vault.AuthorityPublicKey, name string) error {
	challenge, expected, err := vault.NewChallenge(public)
	if err != nil {
		return err
	}
	if err := writeNew(name, encodeLine(challenge), 0o600); err != nil {
		return err
	}
	if err := writeNew(name+".expected", encodeLine(expected), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "challenge written to %s; have it answered with `bahi authority answer --key FILE %s`, then adopt again with --answer\n", name, name)
	return nil
}

func checkAnswer(challengeFile, answerFile string) error {
	expected, err := os.ReadFile(challengeFile + ".expected")
	if err != nil {
		return exit{exitUsage, fmt.Errorf("the challenge was not written here: %w", err)}
	}
	answer, err := os.ReadFile(answerFile)
	if err != nil {
		return exit{exitUsage, err}
	}
	if subtle.ConstantTimeCompare(bytes.TrimSpace(answer), bytes.TrimSpace(expected)) != 1 {
		return errors.New("the answer does not fit the challenge; the key was not adopted")
	}
	return nil
}

func (p *program) authorityAnswer() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:     "answer --key FILE CHALLENGE",
		Short:   "Answer a ledger's challenge with the private key, offline",
		Example: "  bahi authority answer --key authority.key challenge.txt > answer.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := os.ReadFile(keyFile)
			if err != nil {
				return exit{exitUsage, err}
			}
			key, err := vault.ParseAuthorityKey(file)
			if err != nil {
				return exit{exitUsage, err}
			}
			line, err := os.ReadFile(args[0])
			if err != nil {
				return exit{exitUsage, err}
			}
			challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(line)))
			if err != nil {
				return usage("%s is not a challenge", args[0])
			}
			answer, err := key.Answer(challenge)
			if err != nil {
				return err
			}
			_, err = p.stdout.Write(encodeLine(answer))
			return err
		},
	}
	c.Flags().StringVar(&keyFile, "key", "authority.key", "file of the private half")
	return c
}

func encodeLine(b []byte) []byte {
	return append([]byte(base64.StdEncoding.EncodeToString(b)), '\n')
}
