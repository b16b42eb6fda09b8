package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/internal/natstest"
)

// operated is a NATS server of an operator's own, on what nats-config prints, with a
// centre that comes and goes.
type operated struct {
	t       *testing.T
	dir     string
	listen  string
	public  string    // nkey of the ledger
	configs [2]string // without and with that centre

	mu     sync.Mutex // guards what follows
	taken  int        // configurations
	server *server.Server
}

func operate(t *testing.T) *operated {
	t.Helper()
	o := &operated{t: t, dir: t.TempDir(), listen: fmt.Sprint("127.0.0.1:", natstest.Ports(t, 1)[0])}
	first := o.config("--no-centres", "--make-ledger-nkey", o.file("ledger.nkey"))
	o.public = regexp.MustCompile(`U[A-Z2-7]{55}`).FindString(first)
	o.configs = [2]string{first, first}
	o.write()
	o.server = natstest.StartFile(t, o.file("nats.conf"))
	return o
}

func (o *operated) file(name string) string { return filepath.Join(o.dir, name) }
func (o *operated) url() string             { return "nats://" + o.listen }

func (o *operated) config(args ...string) string {
	o.t.Helper()
	args = append([]string{"nats-config", "--listen", o.listen, "--store-dir", o.file("streams")}, args...)
	return mustExit(o.t, exitDone, nil, args...).stdout
}

func (o *operated) write() {
	if err := os.WriteFile(o.file("nats.conf"), []byte(o.configs[o.taken%2]), 0o600); err != nil {
		o.t.Error(err)
	}
}

// register registers centres with the ledger, and prints the two configurations.
func (o *operated) register(centres ...string) {
	o.t.Helper()
	add := func(centre string) {
		mustExit(o.t, exitDone, nil, "centre", "add", "--data", o.file("d"), "--district", "208", "--centre", centre, "--make-nkey", o.file(centre+".nkey"))
	}
	for _, c := range centres {
		add(c)
	}
	without := o.config("--data", o.file("d"), "--ledger-nkey", o.public)
	add("208999")
	with := o.config("--data", o.file("d"), "--ledger-nkey", o.public)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.configs = [2]string{without, with}
}

// reload has the server take up the other configuration.
func (o *operated) reload() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken++
	o.write()
	if err := o.server.Reload(); err != nil {
		o.t.Error(err)
	}
}

// restart stops the server, and starts it again after a while.
func (o *operated) restart(away time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	natstest.Stop(o.server)
	time.Sleep(away)
	o.server = natstest.StartFile(o.t, o.file("nats.conf"))
}

// reloadSoon has it take up the other configuration twice, at some moments from now.
func (o *operated) reloadSoon() (reloaded *sync.WaitGroup) {
	reloaded = new(sync.WaitGroup)
	reloaded.Go(func() {
		for range 2 {
			time.Sleep(rand.N(200 * time.Millisecond))
			o.reload()
		}
	})
	return reloaded
}

// served is a service on such a server, in a process of its own.
type served struct {
	*exec.Cmd
	url   string
	words string // file with its log
	ended chan error
}

// serve starts the service; it has to become ready.
func (o *operated) serve() *served {
	o.t.Helper()
	r := &served{words: o.file("log"), ended: make(chan error, 1)}
	r.Cmd = exec.CommandContext(o.t.Context(), "bahi", "serve", "--data", o.file("d"), "--sandbox", "--nats", o.url(), "--nats-creds", o.file("ledger.nkey"),
		"--listen", "127.0.0.1:0", "--reads-per-day", "1000000")
	log, err := os.Create(r.words)
	if err != nil {
		o.t.Fatal(err)
	}
	defer log.Close()
	r.Stderr = log
	stdout, err := r.StdoutPipe()
	if err == nil {
		err = r.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() { r.ended <- r.Wait() }()
	ready := readyLine.FindStringSubmatch(line)
	if ready == nil {
		words, _ := os.ReadFile(r.words)
		o.t.Fatalf("the service says %q (%v): %s", line, errors.Join(err, <-r.ended), words)
	}
	r.url = ready[1]
	return r
}

func (s *served) end(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err != nil {
		words, _ := os.ReadFile(s.words)
		t.Fatalf("the service ends with %v: %s", err, words)
	}
}

// TestReloads has a NATS server of an operator's own take up other configurations while
// a service on it begins and while it is used from all sides. The service does not end;
// whoever is refused is asked for patience, and in the end everything that was sent is
// there once, and told once. `make reloads` does so for longer, and stops and starts the
// server meanwhile.
func TestReloads(t *testing.T) {
	t.Parallel()
	starts, reloads, restarts := 2, 20, 0
	if n, err := strconv.Atoi(os.Getenv("BAHI_RELOADS")); err == nil {
		starts, reloads, restarts = max(n/7, 1), n, max(n/20, 1)
	}
	o := operate(t)
	for n := range starts {
		reloaded := o.reloadSoon()
		service := o.serve()
		reloaded.Wait()
		if n == 0 {
			o.register("208001", "208002")
			o.reload()
		}
		service.end(t)
	}

	service := o.serve()
	c := newCrowd(t, o, service.url)
	for n := range reloads {
		time.Sleep(rand.N(50 * time.Millisecond))
		o.reload()
		if restarts > 0 && n%(reloads/restarts) == reloads/restarts/2 {
			o.restart(rand.N(time.Second))
		}
	}
	c.leave()
	c.check()
	service.end(t)
	mustExit(t, exitDone, nil, "ledger", "verify", "--data", o.file("d"), "--nats", o.url(), "--nats-creds", o.file("ledger.nkey"))
	t.Logf("%d starts, %d reloads, %d restarts; %s", starts, reloads, restarts, c)
}
