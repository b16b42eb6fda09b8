package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

// TestServeTLS: others are served with TLS, this machine's verbs go on with --data,
// and nothing that is written is anybody else's to read.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "d")
	certificate, key := certify(t, dir)
	service := child(t, "serve", "--data", data, "--sandbox", "--listen", "0.0.0.0:0", "--tls-cert", certificate, "--tls-key", key, "--metrics", "0.0.0.0:0", "--plain-metrics")
	stdout, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ready := regexp.MustCompile(`^bahi ready on https://\S+:(\d+), ledger`).FindStringSubmatch(line)
	if ready == nil {
		t.Fatalf("the service says %q (%v)", line, err)
	}
	verb := func(code int, args ...string) outcome {
		t.Helper()
		c := child(t, args...)
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+certificate)
		c.Stdin = strings.NewReader(many(3))
		o := finish(t, c)
		if o.code != code {
			t.Errorf("%s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
		}
		return o
	}
	verb(0, "submit", "--data", data, "-")
	token := filepath.Join(dir, "analyst.token")
	verb(0, "token", "issue", "--data", data, "--role", "analyst", "--out", token)
	o := verb(0, "counts", "--server", "https://127.0.0.1:"+ready[1], "--token-file", token, "--district", "208", "--json")
	if !strings.Contains(o.stdout, `"registered":3,`) {
		t.Errorf("counts over TLS: %s", o.stdout)
	}
	verb(1, "counts", "--server", "http://127.0.0.1:"+ready[1], "--token-file", token, "--district", "208")
	for _, root := range []string{data, data + "-keys"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // gone since it was listed
			}
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := service.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

// TestPlainDoors: each address that others reach without TLS is let through by the flag
// of its own door, and by no other.
func TestPlainDoors(t *testing.T) {
	t.Parallel()
	const others, own = "0.0.0.0:0", "127.0.0.1:0"
	for name, test := range map[string]struct {
		doors doors
		says  string // "" when it is let through
	}{
		"this machine's own":              {doors{http: own, metrics: own, nats: own}, ""},
		"metrics":                         {doors{http: own, metrics: others}, "add --plain-metrics"},
		"metrics, plain HTTP":             {doors{http: own, metrics: others, plain: true}, "add --plain-metrics"},
		"metrics, plain NATS":             {doors{http: own, metrics: others, plainNATS: true}, "add --plain-metrics"},
		"metrics, TLS":                    {doors{http: others, metrics: others, certificate: "c", key: "k"}, "add --plain-metrics"},
		"plain metrics":                   {doors{http: own, metrics: others, plainMetrics: true}, ""},
		"plain metrics, TLS":              {doors{http: others, metrics: others, certificate: "c", key: "k", plainMetrics: true}, ""},
		"plain metrics of this machine":   {doors{http: own, metrics: own, plainMetrics: true}, ""},
		"plain metrics, nowhere":          {doors{http: own, plainMetrics: true}, "--plain-metrics needs --metrics"},
		"HTTP, plain metrics":             {doors{http: others, metrics: others, plainMetrics: true}, "or --plain-http"},
		"NATS, plain metrics":             {doors{http: own, nats: others, metrics: others, plainMetrics: true}, "or --plain-nats"},
		"plain HTTP, this machine's NATS": {doors{http: others, metrics: own, plain: true}, ""},
	} {
		err := test.doors.check()
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certify writes a certificate for 127.0.0.1 that is its own authority.
func certify(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bahi"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// TestServeLocksWhoProbes: a centre that tries numbers over NATS is locked by the
// service, and goes on when the authority has unlocked it.
func TestServeLocksWhoProbes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, nkey := filepath.Join(dir, "d"), filepath.Join(dir, "208001.nkey")
	service := child(t, "serve", "--data", data, "--sandbox", "--listen", "127.0.0.1:0", "--listen-nats", "127.0.0.1:0")
	at := readyService(t, service)
	publish := func(code, first, doses int) outcome {
		t.Helper()
		var lines strings.Builder
		for n := range doses {
			fmt.Fprintf(&lines, `{"type":"dose","id":"%s","at":"2021-03-04","person":"%s","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`+"\n",
				lineID(first+n), domain.MakeReference(fmt.Sprintf("5%012d", first+n)))
		}
		return mustExit(t, code, strings.NewReader(lines.String()), "submit", "--server", at.nats, "--nkey", nkey, "--district", "208", "--centre", "208001", "-")
	}
	mustExit(t, 0, nil, "centre", "add", "--data", data, "--district", "208", "--centre", "208001", "--make-nkey", nkey)
	publish(4, 1000, 500)
	if o := publish(1, 2000, 1); !strings.Contains(o.stderr, "the ledger could not take in the bundle: locked") || !strings.Contains(o.stderr, "`bahi token unlock`") {
		t.Errorf("locked, the centre is told %s", o.stderr)
	}
	if o := mustExit(t, 0, nil, "token", "list", "--data", data); !strings.Contains(o.stdout, "nats:208:208001") {
		t.Errorf("the list has %s", o.stdout)
	}
	if o := mustExit(t, 0, nil, "audit", "list", "--data", data, "--json"); !strings.Contains(o.stdout, `"kind":"token_locked","token":"nats:208:208001","role":"centre","district":208,"centre":"208001"`) {
		t.Errorf("the audit has %s", o.stdout)
	}
	if o := mustExit(t, 0, nil, "quarantine", "list", "--data", data); !strings.Contains(o.stdout, "  locked\n") {
		t.Errorf("in quarantine is %s", o.stdout)
	}
	mustExit(t, 0, nil, "token", "unlock", "--data", data, "nats:208:208001")
	publish(4, 2000, 1)
	if err := service.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
