package vault

import (
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
)

// A sealed bundle:
//
//	 0     1  suite, 1: HPKE with MLKEM768-X25519, HKDF-SHA-256, AES-256-GCM
//	 1     8  key id: the first bytes of SHA-256 of the intake public key
//	 9  1120  encapsulation
//	1129      ciphertext, 16 bytes longer than the bundle
//
// HPKE's info is "bahi bundle 1" ‖ the first nine bytes ‖ the caller's info. The
// reply to a bundle is
//
//	0  1  suite, 1: AES-256-GCM
//	1     nonce (12), ciphertext, tag (16)
//
// under a key that both sides export from the bundle's HPKE context
// ("bahi reply 1"), so that only who sealed the bundle can read it.
const (
	suiteBundle  = 1
	bundleHeader = 9

	bundleInfo = "bahi bundle 1"
	replyInfo  = "bahi reply 1"

	// MaxBundle is the greatest length of a bundle or reply in bytes. Sealed it
	// fits a NATS message of 1 MiB, headers included.
	MaxBundle = 1<<20 - 16<<10

	bundleOverhead = bundleHeader + encapsulationSize + 16
	replyOverhead  = 1 + 12 + 16

	intakeKeyLabel = "BAHI-INTAKE-KEY-1"
	maxIntakeKeys  = 8
)

type intakeKey struct {
	private hpke.PrivateKey
	public  []byte
	id      [8]byte
}

func newIntakeKey(private hpke.PrivateKey) intakeKey {
	public := private.PublicKey().Bytes()
	return intakeKey{private, public, keyID(public)}
}

func keyID(public []byte) [8]byte {
	sum := sha256.Sum256(public)
	return [8]byte(sum[:8])
}

// openIntakeKeys reads the intake key file, or makes it. Its first key is the
// one given out; keys below it were given out earlier and stay until what was
// sealed to them has been taken in.
func openIntakeKeys(path string) ([]intakeKey, error) {
	if err := finishReplacing(path); err != nil {
		return nil, fmt.Errorf("cannot end a change of the intake key: %w", err)
	}
	content, err := readSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		private, err := kem.GenerateKey()
		if err != nil {
			return nil, fmt.Errorf("cannot make the intake key: %w", err)
		}
		keys := []intakeKey{newIntakeKey(private)}
		if err := writeIntakeKeys(path, keys); err != nil {
			return nil, err
		}
		return keys, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the intake key: %w", err)
	}
	keys, err := parseIntakeKeys(content)
	if err != nil {
		return nil, fmt.Errorf("cannot read the intake key %s: %w", path, err)
	}
	return keys, nil
}

// writeIntakeKeys writes the file of these keys, and leaves nothing of the one
// before.
func writeIntakeKeys(path string, keys []intakeKey) error {
	var content []byte
	defer func() { clear(content) }()
	for _, k := range keys {
		b, err := k.private.Bytes() // the key's own bytes, not a copy
		if err != nil {
			return fmt.Errorf("cannot write the intake key: %w", err)
		}
		content = append(content, armour(intakeKeyLabel, b)+"\n"...)
	}
	if err := replaceSecret(path, content); err != nil {
		return fmt.Errorf("cannot write the intake key: %w", err)
	}
	return nil
}

func parseIntakeKeys(content []byte) ([]intakeKey, error) {
	lines := keyLines(content)
	if len(lines) == 0 || len(lines) > maxIntakeKeys {
		return nil, fmt.Errorf("it has %d keys instead of 1 to %d", len(lines), maxIntakeKeys)
	}
	keys := make([]intakeKey, len(lines))
	for i, line := range lines {
		b, err := unarmour(intakeKeyLabel, line)
		if err != nil {
			return nil, err
		}
		private, err := parsePrivate(b)
		clear(b)
		if err != nil {
			return nil, err
		}
		keys[i] = newIntakeKey(private)
	}
	return keys, nil
}

// IntakePublicKey returns the public key that centres seal bundles to, 1,216
// bytes. It is no secret, but who can swap it on its way reads the bundles.
func (v *Vault) IntakePublicKey() []byte {
	return append([]byte(nil), (*v.intake.Load())[0].public...)
}

// SealBundle seals a bundle to a ledger's intake key, and returns with what to
// open the reply. Both sides give the same info, such as the subject that the
// bundle is published to; it is not sent. A sealed bundle is 1,145 bytes longer.
// About 150 µs. It returns [ErrTooLarge] above [MaxBundle].
func SealBundle(intakePublic, bundle, info []byte) (sealed []byte, reply *ReplyOpener, err error) {
	if len(bundle) > MaxBundle {
		return nil, nil, fmt.Errorf("a bundle of more than %d bytes: %w", MaxBundle, ErrTooLarge)
	}
	public, err := parsePublic(intakePublic)
	if err != nil {
		return nil, nil, fmt.Errorf("this is no intake public key: %w", err)
	}
	id := keyID(intakePublic)
	header := append([]byte{suiteBundle}, id[:]...)
	encapsulation, sender, err := hpke.NewSender(public, kdf, aead, bundleBinding(header, info))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot seal the bundle: %w", err)
	}
	ciphertext, err := sender.Seal(nil, bundle)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot seal the bundle: %w", err)
	}
	key, err := sender.Export(replyInfo, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot seal the bundle: %w", err)
	}
	defer clear(key)
	sealed = make([]byte, 0, bundleOverhead+len(bundle))
	sealed = append(append(append(sealed, header...), encapsulation...), ciphertext...)
	return sealed, newReplyOpener([32]byte(key)), nil
}

// OpenBundle opens what [SealBundle] sealed, and returns with what to seal the
// reply. It returns [ErrOtherKey] when the bundle is sealed to a key that the
// vault does not have, [ErrCorrupt] when it was changed or info is another, and
// [ErrTooLarge]. About 180 µs.
func (v *Vault) OpenBundle(sealed, info []byte) (bundle []byte, reply *ReplySealer, err error) {
	if len(sealed) > MaxBundle+bundleOverhead {
		return nil, nil, fmt.Errorf("a bundle of more than %d bytes: %w", MaxBundle, ErrTooLarge)
	}
	if len(sealed) < bundleOverhead || sealed[0] != suiteBundle {
		return nil, nil, fmt.Errorf("not a sealed bundle: %w", ErrCorrupt)
	}
	header, encapsulation := sealed[:bundleHeader], sealed[bundleHeader:bundleHeader+encapsulationSize]
	var private hpke.PrivateKey
	for _, k := range *v.intake.Load() {
		if k.id == [8]byte(header[1:]) {
			private = k.private
		}
	}
	if private == nil {
		return nil, nil, fmt.Errorf("a bundle for intake key %x; fetch the ledger's present one and send again: %w", header[1:], ErrOtherKey)
	}
	recipient, err := hpke.NewRecipient(encapsulation, private, kdf, aead, bundleBinding(header, info))
	if err != nil {
		return nil, nil, fmt.Errorf("a bundle: %w", ErrCorrupt)
	}
	bundle, err = recipient.Open(nil, sealed[bundleHeader+encapsulationSize:])
	if err != nil {
		return nil, nil, fmt.Errorf("a bundle: %w", ErrCorrupt)
	}
	key, err := recipient.Export(replyInfo, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot derive the reply key: %w", err)
	}
	defer clear(key)
	return bundle, &ReplySealer{aesGCM(key)}, nil
}

// IsBundle tells whether bytes have the form of a sealed bundle, of any key. What
// has not may be somebody's data in the clear.
func IsBundle(b []byte) bool {
	return len(b) >= bundleHeader+encapsulationSize && b[0] == suiteBundle
}

func bundleBinding(header, info []byte) []byte {
	return append(append([]byte(bundleInfo), header...), info...)
}

// ReplySealer seals replies to the sender of one bundle.
type ReplySealer struct{ aead cipher.AEAD }

// ReplyOpener opens the replies to one bundle.
type ReplyOpener struct {
	key  [32]byte
	aead cipher.AEAD
}

func newReplyOpener(key [32]byte) *ReplyOpener { return &ReplyOpener{key, aesGCM(key[:])} }

// Bytes returns what opens the replies, 33 bytes: the suite, 1, and the key. Who
// keeps them with the bundle can ask for its verdicts after a restart; who gets
// hold of them, too.
func (o *ReplyOpener) Bytes() []byte { return append([]byte{suiteBundle}, o.key[:]...) }

// ParseReplyOpener reads what [ReplyOpener.Bytes] returned.
func ParseReplyOpener(b []byte) (*ReplyOpener, error) {
	if len(b) != 33 || b[0] != suiteBundle {
		return nil, fmt.Errorf("not the key to a reply: %w", ErrCorrupt)
	}
	return newReplyOpener([32]byte(b[1:])), nil
}

// Seal seals a reply; it becomes 29 bytes longer. It may be called several
// times, as for a bundle that was delivered again. It returns [ErrTooLarge]
// above [MaxBundle].
func (s *ReplySealer) Seal(reply []byte) ([]byte, error) {
	if len(reply) > MaxBundle {
		return nil, fmt.Errorf("a reply of more than %d bytes: %w", MaxBundle, ErrTooLarge)
	}
	sealed := append(make([]byte, 0, replyOverhead+len(reply)), suiteBundle)
	return s.aead.Seal(sealed, nil, reply, []byte(replyInfo)), nil
}

// Open opens a reply. It returns [ErrCorrupt] when it answers another bundle or
// was changed.
func (o *ReplyOpener) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < replyOverhead || len(sealed) > MaxBundle+replyOverhead || sealed[0] != suiteBundle {
		return nil, fmt.Errorf("not a sealed reply: %w", ErrCorrupt)
	}
	reply, err := o.aead.Open(nil, nil, sealed[1:], []byte(replyInfo))
	if err != nil {
		return nil, fmt.Errorf("a reply: %w", ErrCorrupt)
	}
	return reply, nil
}
