package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"bahi/domain"
	"bahi/projections"
	"bahi/synth"
)

// exported is a row of a Parquet export, read by the names of its columns alone.
type exported struct {
	Type         string `parquet:"type"`
	Day          int32  `parquet:"day"`
	District     int32  `parquet:"district"`
	DoseDistrict *int32 `parquet:"dose_district,optional"`
	Dose         string `parquet:"dose,optional"`
	Before       string `parquet:"status_before,optional"`
	After        string `parquet:"status_after,optional"`
	Counted      *int32 `parquet:"counted,optional"`
	TakenBack    string `parquet:"taken_back,optional"`
	RequestEnded *bool  `parquet:"request_ended,optional"`
}

// TestExportsCountTheSame recomputes the counts from a Parquet export, as
// docs/EXPORTS.md says how, and looks for everybody's particulars in exports of every
// format.
func TestExportsCountTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, out := filepath.Join(dir, "ledger"), filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	people, err := os.ReadFile(filepath.Join("testdata", "people.ndjson"))
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
	if _, err := synth.Write(t.Context(), &load, counters, synth.Options{Seed: 5}, nil); err != nil {
		t.Fatal(err)
	}
	bahi(t, bytes.NewReader(people), "submit", "--data", data, "--sandbox", "-")
	bahi(t, bytes.NewReader(load.Bytes()), "submit", "--data", data, "-")
	mustExit(t, exitDone, nil, "freeze", "--data", data, "--district", "208", "--group", "HCW", "--order", "A/1", "--by", "authority", "--at", "2021-12-02")
	request := "018f3c1e-0000-7000-8000-0000000000a1"
	mustExit(t, exitDone, nil, "reversal", "request", "--data", data, "--person", "20000000000018", "--to", "partial", "--at", "2022-01-22", "--id", request)
	mustExit(t, exitDone, nil, "reversal", "decide", "--data", data, "--request", request, "--approve", "--by", "officer-7", "--at", "2022-01-26")

	whole := filepath.Join(out, "history.parquet")
	mustExit(t, exitDone, nil, "replay", "--data", data, "--format", "parquet", "--out", whole)
	mustExit(t, exitDone, nil, "replay", "--data", data, "--format", "csv", "--exact", "--out", filepath.Join(out, "history.csv"))
	mustExit(t, exitDone, nil, "replay", "--data", data, "--exact", "--out", filepath.Join(out, "history.ndjson"))
	lookFor(t, append(particulars(t, string(people)), particulars(t, load.String())...), out)

	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[exported](bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, district := range []int32{208, 212} {
		for _, day := range []domain.Day{domain.Date(2021, 1, 17), domain.Date(2021, 3, 1), domain.Date(2022, 1, 25), domain.Date(2022, 1, 26)} {
			var said projections.CountsResult
			o := mustExit(t, exitDone, nil, "counts", "--data", data, "--district", fmt.Sprint(district), "--as-of", day.String(), "--json")
			if err := json.Unmarshal([]byte(o.stdout), &said); err != nil {
				t.Fatal(err)
			}
			got := recounted(t, rows, district, int32(day))
			got.Frozen = said.Frozen // whose cohort is closed no export tells
			if got != said.Figures {
				t.Errorf("district %d as of %s: the export has %+v, counts say %+v", district, day, got, said.Figures)
			}
			counted += int(got.Registered)
		}
	}
	if counted == 0 {
		t.Error("nobody was counted")
	}
}

// recounted counts what an export tells of a district up to a day.
func recounted(t *testing.T, rows []exported, district, upTo int32) (f projections.Figures) {
	t.Helper()
	for _, r := range rows {
		day := r.Day
		if r.Counted != nil {
			day = *r.Counted
		}
		if r.RequestEnded != nil && *r.RequestEnded && r.District == district && r.Day <= upTo {
			f.PendingReversals--
		}
		if day > upTo {
			continue
		}
		sign := int64(1)
		if strings.HasSuffix(r.Type, "_withdrawn") {
			sign = -1
		}
		if r.DoseDistrict != nil && *r.DoseDistrict == district {
			dosed(&f, r.Dose, sign)
		}
		for taken := range strings.FieldsSeq(r.TakenBack) {
			part := strings.Split(taken, ":")
			if part[1] == strconv.Itoa(int(district)) {
				dosed(&f, part[0], -1)
			}
		}
		if r.District != district {
			continue
		}
		switch r.Type {
		case "reversal_requested":
			f.PendingReversals++
			continue // asked for, not done
		case "reversal_decided":
			f.PendingReversals--
		case "registered", "registration_withdrawn":
			f.Registered += sign
		}
		status(&f, r.Before, -1)
		status(&f, r.After, +1)
	}
	return f
}

func dosed(f *projections.Figures, dose string, n int64) {
	switch dose {
	case "1":
		f.Dose1 += n
	case "2":
		f.Dose2 += n
	case "3":
		f.Dose3 += n
	case "precaution":
		f.Precaution += n
	}
}

func status(f *projections.Figures, status string, n int64) {
	switch status {
	case "unvaccinated":
		f.Unvaccinated += n
	case "partial":
		f.Partial += n
	case "full":
		f.Full += n
	}
}

// TestFollow follows a ledger that a service holds: what there is comes, then each
// commit as it is made, until an interrupt ends it well.
func TestFollow(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "ledger")
	service := child(t, "serve", "--data", data, "--sandbox", "--listen", "127.0.0.1:0", "--listen-nats", "127.0.0.1:0")
	readyService(t, service)
	mustExit(t, exitDone, strings.NewReader(many(3)), "submit", "--data", data, "-")
	follower := child(t, "replay", "--data", data, "--follow", "--format", "csv")
	stdout, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := func() string {
		if !lines.Scan() {
			t.Fatalf("no further line: %v", lines.Err())
		}
		return lines.Text()
	}
	if header := next(); !strings.HasPrefix(header, "type,day,") {
		t.Errorf("first comes %q", header)
	}
	for range 3 {
		if line := next(); !strings.HasPrefix(line, "registered,") {
			t.Errorf("%q came", line)
		}
	}
	mustExit(t, exitDone, strings.NewReader(registration(77)), "submit", "--data", data, "-")
	if line := next(); !strings.HasPrefix(line, "registered,") {
		t.Errorf("%q came", line)
	}
	if err := follower.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := follower.Wait(); err != nil {
		t.Errorf("an interrupted follower ends with %v", err)
	}
}
