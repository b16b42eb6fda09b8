package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bahi/synth"
)

// particular is something told about a person that may stand nowhere in clear.
type particular struct{ what, text string }

// particulars are what the registrations of an input tell, without reference
// numbers that the ledger issued.
func particulars(t *testing.T, ndjson string) (all []particular) {
	t.Helper()
	for line := range strings.Lines(ndjson) {
		var r struct {
			Type, Person, Name, Mobile string
			PhotoID                    struct{ Number string } `json:"photo_id"`
		}
		if json.Unmarshal([]byte(line), &r) != nil || r.Type != "registration" {
			continue
		}
		for _, p := range []particular{{"name", r.Name}, {"mobile number", r.Mobile}, {"photo-ID number", r.PhotoID.Number}, {"reference number", r.Person}} {
			if len(p.text) > 5 {
				all = append(all, p)
			}
		}
	}
	return all
}

// lookFor reads every file below the directories, and their names, and looks for
// particulars.
func lookFor(t *testing.T, what []particular, dirs ...string) {
	t.Helper()
	files, read := 0, 0
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a service has removed it since it was listed
			}
			if err != nil {
				return err
			}
			files, read = files+1, read+len(content)
			for _, p := range what {
				if bytes.Contains(content, []byte(p.text)) {
					t.Errorf("a %s stands in %s", p.what, path)
				}
				if strings.Contains(path, p.text) {
					t.Errorf("a %s is part of the path %s", p.what, path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d particulars in %d files of %d bytes: looked for", len(what), files, read)
	if files == 0 || len(what) == 0 {
		t.Error("nothing was looked for")
	}
}

// TestNothingInClear loads a service over both of its doors, has it asked,
// frozen, refused and hindered, and looks for every particular in its data, its
// keys and its words.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, keys, logs := filepath.Join(dir, "ledger"), filepath.Join(dir, "ledger-keys"), filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	input, err := os.ReadFile(filepath.Join("testdata", "people.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fixture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counters, err := synth.ReadCounts(f)
	if err != nil {
		t.Fatal(err)
	}
	var load bytes.Buffer
	if _, err := synth.Write(t.Context(), &load, counters, synth.Options{Seed: 9}, nil); err != nil {
		t.Fatal(err)
	}
	// Canaries among lines that are refused: they come into logs, if anything does.
	refused := strings.Join([]string{
		registration(9001, "name", `"Canary Unlikely"`, "mobile", `"6660006660"`, "address", `"Canary Lane"`),
		registration(9002, "name", `"Canary <b>Unlikely"`, "photo_id", `{"type":"AADHAAR","number":"666000666000"}`),
		dose(9003, "person", `"20000000000999"`, "Canary Unlikely", `1`),
		`{"type":"registration","name":"Canary Unlikely"`,
		"Canary Unlikely\x00",
	}, "\n")
	hidden := append(particulars(t, string(input)), particulars(t, load.String())...)
	hidden = append(hidden, particular{"canary", "Canary"}, particular{"canary", "6660006660"}, particular{"canary", "666000666"}, particular{"canary", "20000000000999"})

	nkey := filepath.Join(dir, "208001.nkey")
	mustExit(t, exitDone, nil, "centre", "add", "--data", data, "--district", "208", "--centre", "208001", "--make-nkey", nkey)
	service := child(t, "serve", "--data", data, "--sandbox", "--listen", "127.0.0.1:0", "--listen-nats", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	words, err := os.Create(filepath.Join(logs, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	service.Stderr = words
	ready := readyService(t, service)
	token := func(role string) string { return filepath.Join(keys, "tokens", role) }

	// stderr of every verb is kept beside the service's log.
	verb := func(stdin string, args ...string) outcome {
		o := bahi(t, strings.NewReader(stdin), args...)
		if err := os.WriteFile(filepath.Join(logs, "verb"), []byte(o.stderr), 0o600); err != nil {
			t.Fatal(err)
		}
		lookFor(t, hidden, logs)
		return o
	}
	verb(string(input), "submit", "--server", ready.url, "--token-file", token("centre"), "-")
	verb(load.String(), "submit", "--server", ready.nats, "--nkey", nkey, "--district", "208", "--centre", "208001", "-")
	verb(load.String(), "submit", "--data", data, "-")
	for _, door := range [][]string{{"--server", ready.url, "--token-file", token("centre")}, {"--server", ready.nats, "--nkey", nkey, "--district", "208", "--centre", "208001"}, {"--data", data}} {
		if o := verb(refused, append([]string{"submit", "-"}, door...)...); o.code != exitRejected || strings.Contains(o.stdout, "Canary") {
			t.Errorf("%d: %s%s", o.code, o.stdout, o.stderr)
		}
	}
	for _, number := range []string{"20000000000018", "20000000000999", "20000000000143"} {
		verb("", "person", "--data", data, number, "--officer", "o-1", "--purpose", "grievance")
	}
	for _, format := range []string{"csv", "divoc", "fhir", "cowin"} {
		verb(refused, "submit", "--server", ready.url, "--token-file", token("centre"), "--format", format, "-")
	}
	verb("", "quarantine", "list", "--data", data)
	verb("", "freeze", "--data", data, "--district", "208", "--order", "Canary; Unlikely", "--by", "authority", "--at", "2021-04-02")
	verb("20000000000999\n", "freeze", "--data", data, "--district", "208", "--persons", "-", "--order", "A/0", "--by", "authority", "--at", "2021-04-02")
	lookFor(t, hidden, data, keys, logs)

	mustExit(t, exitDone, nil, "freeze", "--data", data, "--district", "208", "--group", "HCW", "--order", "A/1", "--by", "authority", "--at", "2021-04-02")
	verb("", "person", "--data", data, "20000000000018", "--officer", "o-1", "--purpose", "grievance")
	mustExit(t, exitDone, nil, "projections", "rebuild", "--data", data)
	lookFor(t, hidden, data, keys, logs)
	if err := os.WriteFile(filepath.Join(logs, "metrics"), scrape(t, words.Name()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := service.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Fatal(err)
	}
	lookFor(t, hidden, data, keys, logs)
	structured(t, words.Name())
}

// logLines are what a service has said so far.
func logLines(t *testing.T, file string) (lines []map[string]any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(content)) {
		if !strings.HasSuffix(text, "\n") {
			continue // it is being written
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Errorf("a line of the log is no JSON: %q", text)
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// scrape asks for metrics at the address that the log names.
func scrape(t *testing.T, log string) []byte {
	t.Helper()
	for _, line := range logLines(t, log) {
		if line["msg"] != "metrics are told" {
			continue
		}
		answer, err := http.Get("http://" + line["address"].(string) + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		metrics, err := io.ReadAll(answer.Body)
		if err != nil || !bytes.Contains(metrics, []byte("\nbahi_intake_bundles_total{code=\"\",outcome=\"taken\"} ")) {
			t.Errorf("scraped %d bytes, %v", len(metrics), err)
		}
		return metrics
	}
	t.Fatal("the log does not say where metrics are")
	return nil
}

// structured holds the log to its form: the keys that docs/OPERATIONS.md lists for every
// line, and those of a request.
func structured(t *testing.T, log string) {
	t.Helper()
	requests := 0
	for _, line := range logLines(t, log) {
		keys := []string{"time", "level", "msg"}
		if line["msg"] == "request" {
			requests++
			keys = append(keys, "request", "operation", "route", "role", "token", "status", "bytes", "took")
			if len(line) != len(keys) {
				t.Errorf("a request is logged as %v", line)
			}
		}
		for _, key := range keys {
			if _, ok := line[key]; !ok {
				t.Errorf("a line of the log has no %s: %v", key, line)
			}
		}
	}
	if requests == 0 {
		t.Error("no request is in the log")
	}
}

// addresses are what a service's ready line tells.
type addresses struct{ url, nats string }

// readyService starts a service and waits for its ready line.
func readyService(t *testing.T, c *exec.Cmd) addresses {
	t.Helper()
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ready := readyLine.FindStringSubmatch(line)
	if ready == nil {
		t.Fatalf("the service says %q (%v)", line, err)
	}
	return addresses{ready[1], ready[2]}
}
