package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLS is what a server shows of itself and asks of others on encrypted
// connections: TLS 1.3 and nothing older. The certificate is read again when its
// files change. A client certificate is asked for and need not be shown; what it
// gives is the registry's to say, by its public key.
type TLS struct {
	certificate, key string // files
	clients          *x509.CertPool
	log              *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	changed [2]time.Time // of the files that current was read from, or could not be read from
	looked  time.Time
}

// lookEvery is how old a look at the certificate's files may be.
const lookEvery = time.Second

// LoadTLS reads a certificate (with its chain) and its private key, both PEM. With
// clientCA, a PEM file, a client certificate has to be signed by one of its
// authorities; without, a certificate that is registered may be signed by anybody.
// Without a log nothing is logged.
func LoadTLS(certificate, key, clientCA string, log *slog.Logger) (*TLS, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &TLS{certificate: certificate, key: key, log: log}
	if clientCA != "" {
		pem, err := os.ReadFile(clientCA)
		if err != nil {
			return nil, fmt.Errorf("read the authorities of client certificates: %w", err)
		}
		t.clients = x509.NewCertPool()
		if !t.clients.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate of an authority, in PEM", clientCA)
		}
	}
	return t, t.read()
}

// read reads the files when they have changed since.
func (t *TLS) read() error {
	var changed [2]time.Time
	for i, file := range []string{t.certificate, t.key} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if t.changed == changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(t.certificate, t.key)
	if err != nil {
		return fmt.Errorf("read the certificate %s with the key %s: %w", t.certificate, t.key, err)
	}
	t.current, t.changed = &pair, changed
	return nil
}

// present returns the certificate for a connection. Between the replacement of one
// file and of the other the last good pair is shown.
func (t *TLS) present(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.looked) > lookEvery {
		t.looked = now
		if err := t.read(); err != nil {
			t.log.Error("the certificate is not read again", "error", err)
		}
	}
	if t.current == nil {
		return nil, errors.New("no certificate")
	}
	return t.current, nil
}

// Reload reads the certificate again at once, if it has changed. After an error the
// last good one is still shown.
func (t *TLS) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read()
}

func (t *TLS) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: t.present, ClientAuth: tls.RequestClientCert}
	if t.clients != nil {
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, t.clients
	}
	return c
}
