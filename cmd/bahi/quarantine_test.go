package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/intake"
	"bahi/ledger"
)

// TestQuarantineVerbs: a dose that was published before its registration is listed,
// shown with a record of who looked, tried again in vain, and taken in when the
// registration is there.
func TestQuarantineVerbs(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "d")
	number := string(domain.MakeReference("2167938123456"))
	mustExit(t, 0, strings.NewReader(registration(1)), "submit", "--data", data, "--sandbox", "-")
	if o := mustExit(t, 0, nil, "quarantine", "list", "--data", data, "--json"); o.stdout != "" {
		t.Errorf("before any door: %s", o.stdout)
	}
	dose := fmt.Sprintf(`{"type":"dose","id":"%s","at":"2021-03-04","person":"%s","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`, lineID(2), number)
	publishAsCentre(t, data, dose)

	var is intake.Quarantined
	if err := json.Unmarshal([]byte(mustExit(t, 0, nil, "quarantine", "list", "--data", data, "--district", "208", "--centre", "208001", "--json").stdout), &is); err != nil {
		t.Fatal(err)
	}
	if is.Codes[domain.CodeUnknownPerson] != 1 || is.Kept != 1 {
		t.Errorf("it is %+v", is)
	}
	id := is.ID.String()
	if o := mustExit(t, 0, nil, "quarantine", "list", "--data", data); !strings.Contains(o.stdout, id) || !strings.Contains(o.stdout, "rejected (1 unknown_person)") || strings.Contains(o.stdout, number) {
		t.Errorf("listed: %s", o.stdout)
	}
	if o := mustExit(t, 0, nil, "quarantine", "list", "--data", data, "--district", "209", "--json"); o.stdout != "" {
		t.Errorf("of another district: %s", o.stdout)
	}
	look := []string{"quarantine", "show", "--data", data, id, "--officer", "dio-208", "--purpose", "grievance"}
	if o := mustExit(t, 0, nil, look...); !strings.Contains(o.stdout, `"person":"`+number+`"`) || !strings.Contains(o.stdout, `"code":"unknown_person"`) {
		t.Errorf("shown: %s", o.stdout)
	}
	if o := mustExit(t, 0, nil, "audit", "report", "--data", data, "--json"); !strings.Contains(o.stdout, `"officer":"dio-208","purpose":"grievance","district":208,"readings":1,"people":1`) {
		t.Errorf("recorded: %s", o.stdout)
	}

	if o := mustExit(t, 0, nil, "audit", "list", "--data", data, "--json"); !strings.Contains(o.stdout, `"item":"`+id+`"`) {
		t.Errorf("recorded: %s", o.stdout)
	}

	if o := mustExit(t, 4, nil, "quarantine", "retry", "--data", data, id); !strings.Contains(o.stdout, "0 accepted, 0 duplicate, 1 rejected; 1 rows stay") {
		t.Errorf("in vain: %s", o.stdout)
	}
	mustExit(t, 0, strings.NewReader(registration(3, "person", `"`+number+`"`)), "submit", "--data", data, "-")
	if o := mustExit(t, 0, nil, "quarantine", "retry", "--data", data, "--district", "208", "--json"); !strings.Contains(o.stdout, `"accepted":1,"duplicate":0,"rejected":0`) {
		t.Errorf("tried again: %s", o.stdout)
	}
	if o := mustExit(t, 0, nil, "quarantine", "list", "--data", data, "--json"); o.stdout != "" {
		t.Errorf("it stays: %s", o.stdout)
	}

	publishAsCentre(t, data, strings.Replace(dose, lineID(2), lineID(5), 1)+"\nx")
	if err := json.Unmarshal([]byte(mustExit(t, 0, nil, "quarantine", "list", "--data", data, "--json").stdout), &is); err != nil {
		t.Fatal(err)
	}
	mustExit(t, 0, nil, "quarantine", "drop", "--data", data, is.ID.String())
	for _, verb := range [][]string{{"retry"}, {"drop"}, {"show", "--officer", "dio-208", "--purpose", "grievance"}} {
		mustExit(t, 6, nil, append([]string{"quarantine", verb[0], "--data", data, id}, verb[1:]...)...)
		mustExit(t, 2, nil, append([]string{"quarantine", verb[0], "--data", data, "17"}, verb[1:]...)...)
	}
}

// publishAsCentre has a door take in a bundle of the centre 208001.
func publishAsCentre(t *testing.T, data, lines string) {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{Data: data, Holders: doorsPart})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	config, err := intake.For(t.Context(), l, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- intake.Serve(ctx, config) }()
	centre, err := intake.NewClient(conn, intake.ClientOptions{IntakeKey: l.Vault().IntakePublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := centre.PublishNDJSON(ctx, 208, "208001", []byte(lines)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
