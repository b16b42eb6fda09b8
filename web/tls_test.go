package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bahi/access"
)

// maker makes certificates for tests.
type maker struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (m *maker) make(t *testing.T, name string) (tls.Certificate, *maker) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: m == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	by := m
	if by == nil {
		by = &maker{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, &maker{leaf, key}
}

// write writes a certificate and its key as PEM files.
func write(t *testing.T, dir string, c tls.Certificate) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// encrypted serves a service on a listener of its own with TLS.
func (s *service) encrypted(t *testing.T, shown *TLS) (url string) {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.ServeTLS(ctx, listener, shown) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "https://" + listener.Addr().String()
}

// dialled asks for something over a new connection.
func dialled(t *testing.T, config *tls.Config, r *http.Request) (reply, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(b)}, err
}

// TestTLS: HTTP over TLS 1.3 alone, with the certificate that is there now, and a
// centre that shows its own.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := t.TempDir()
	server, ca := (*maker)(nil).make(t, "first")
	certificate, key := write(t, dir, server)
	shown, err := LoadTLS(certificate, key, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	url := s.encrypted(t, shown)
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	ask := func(config *tls.Config, path, token string) (reply, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return dialled(t, config, r)
	}
	if got, err := ask(&tls.Config{RootCAs: roots}, "/v1/ledger", s.token(t, operator)); err != nil || got.status != 200 {
		t.Errorf("over TLS: %d %s %v", got.status, got.body, err)
	}
	if _, err := ask(&tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12}, "/healthz", ""); err == nil {
		t.Error("TLS 1.2 is spoken")
	}

	// A registered centre's certificate, signed by itself.
	mine, _ := (*maker)(nil).make(t, "centre 208001")
	if err := s.access.AddCentre(t.Context(), access.Installation(authority), access.Centre{District: muzaffarpur, Code: "208001", Certificate: access.Fingerprint(mine.Leaf)}); err != nil {
		t.Fatal(err)
	}
	s.submit(t, registrationOf(1))
	with := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{mine}}
	next := "/v1/people/" + string(referenceOf(1)) + "/next-dose"
	if got, err := ask(with, next, ""); err != nil || got.status != 200 {
		t.Errorf("with a certificate: %d %s %v", got.status, got.body, err)
	}
	if got, err := ask(with, "/v1/ledger", ""); err != nil || got.status != 403 {
		t.Errorf("what no centre may: %d %s %v", got.status, got.body, err)
	}
	if got, err := ask(with, next, "nobodys"); err != nil || got.status != 401 {
		t.Errorf("a wrong token beside a good certificate: %d %s %v", got.status, got.body, err)
	}
	stranger, _ := (*maker)(nil).make(t, "stranger")
	if got, err := ask(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{stranger}}, next, ""); err != nil || got.status != 401 {
		t.Errorf("with a stranger's certificate: %d %s %v", got.status, got.body, err)
	}

	// Another certificate takes its place; a broken one does not.
	second, ca2 := (*maker)(nil).make(t, "second")
	write(t, dir, second)
	later := time.Now().Add(time.Minute)
	for _, file := range []string{"cert.pem", "key.pem"} {
		if err := os.Chtimes(filepath.Join(dir, file), later, later); err != nil {
			t.Fatal(err)
		}
	}
	if err := shown.Reload(); err != nil {
		t.Fatal(err)
	}
	roots2 := x509.NewCertPool()
	roots2.AddCert(ca2.certificate)
	if _, err := ask(&tls.Config{RootCAs: roots}, "/healthz", ""); err == nil {
		t.Error("the old certificate is still shown")
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shown.Reload(); err == nil {
		t.Error("a broken certificate is taken")
	}
	if got, err := ask(&tls.Config{RootCAs: roots2}, "/healthz", ""); err != nil || got.status != 200 {
		t.Errorf("beside a broken file: %d %v", got.status, err)
	}
}

// TestClientCA: a client certificate has to be signed by the authority that is named.
func TestClientCA(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, caDir := t.TempDir(), t.TempDir()
	server, serverCA := (*maker)(nil).make(t, "server")
	ca, signer := (*maker)(nil).make(t, "authority of centres")
	caFile, _ := write(t, caDir, ca)
	certificate, key := write(t, dir, server)
	shown, err := LoadTLS(certificate, key, caFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := s.encrypted(t, shown)
	roots := x509.NewCertPool()
	roots.AddCert(serverCA.certificate)
	signed, _ := signer.make(t, "centre")
	own, _ := (*maker)(nil).make(t, "centre")
	for i, c := range []tls.Certificate{signed, own} {
		if err := s.access.AddCentre(t.Context(), access.Installation(authority), access.Centre{District: muzaffarpur, Code: string(rune('a' + i)), Certificate: access.Fingerprint(c.Leaf)}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(c ...tls.Certificate) (reply, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/intake-key", nil)
		if err != nil {
			t.Fatal(err)
		}
		return dialled(t, &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c) == 0 {
				return &tls.Certificate{}, nil
			}
			return &c[0], nil
		}}, r)
	}
	if got, err := ask(signed); err != nil || got.status != 200 {
		t.Errorf("a signed one: %d %s %v", got.status, got.body, err)
	}
	if got, err := ask(own); err == nil {
		t.Errorf("one that signed itself: %d %s", got.status, got.body)
	}
	if got, err := ask(); err != nil || got.status != 401 {
		t.Errorf("none: %d %s %v", got.status, got.body, err)
	}

	for name, load := range map[string]func() (*TLS, error){
		"no certificate": func() (*TLS, error) { return LoadTLS(dir+"/none", key, "", nil) },
		"no authorities": func() (*TLS, error) { return LoadTLS(certificate, key, dir+"/none", nil) },
		"no PEM":         func() (*TLS, error) { return LoadTLS(certificate, key, key, nil) },
		"another's key":  func() (*TLS, error) { return LoadTLS(certificate, caDir+"/key.pem", "", nil) },
	} {
		if _, err := load(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
