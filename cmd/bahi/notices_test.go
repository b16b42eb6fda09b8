package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/internal/natstest"
)

// TestServiceIsKilledWhileItTells: a service is killed again and again while people
// submit what others are told. In the end each notice is there once.
func TestServiceIsKilledWhileItTells(t *testing.T) {
	t.Parallel()
	const people = 150
	url, data := natstest.Server(t), filepath.Join(t.TempDir(), "d")
	var input strings.Builder
	for i := range people {
		fmt.Fprintln(&input, registration(3*i+1))
		fmt.Fprintf(&input, `{"type":"dose","id":%q,"at":"2021-03-04","registration":%q,"district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`+"\n", lineID(3*i+2), lineID(3*i+1))
		fmt.Fprintf(&input, `{"type":"dose_withdrawal","id":%q,"at":"2021-03-05","registration":%q,"dose":1,"reason":"entered_in_error"}`+"\n", lineID(3*i+3), lineID(3*i+1))
	}
	for round := range 5 {
		service := child(t, "serve", "--data", data, "--nats", url, "--sandbox", "--listen", "127.0.0.1:0")
		ready := readyService(t, service)
		last := round == 4
		if !last {
			time.AfterFunc(time.Duration(100+100*round)*time.Millisecond, func() { _ = service.Process.Kill() })
		}
		var words bytes.Buffer
		args := []string{"submit", "--server", ready.url, "--token-file", filepath.Join(data+"-keys", "tokens", "centre"), "-"}
		if code := run(t.Context(), args, strings.NewReader(input.String()), &bytes.Buffer{}, &words); last && code != exitDone {
			t.Fatalf("exit code %d: %s", code, words.String())
		}
		if last {
			break
		}
		_ = service.Wait()
	}

	js, err := jetstream.New(natstest.Connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(natstest.Context(t), "NOTICES", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"notice.208.*"}})
	if err != nil {
		t.Fatal(err)
	}
	void, counts := map[string]bool{}, 0
	for len(void) < people || counts == 0 {
		m, err := consumer.Next(jetstream.FetchMaxWait(natstest.Patience))
		if err != nil {
			t.Fatalf("after %d certificates and %d counts: %v", len(void), counts, err)
		}
		var notice struct{ ID, Type string }
		if err := json.Unmarshal(m.Data(), &notice); err != nil {
			t.Fatal(err)
		}
		switch notice.Type {
		case "in.bahi.counts.changed":
			counts++
		case "in.bahi.certificate.void":
			if void[notice.ID] {
				t.Errorf("%s is told twice", notice.ID)
			}
			void[notice.ID] = true
		default:
			t.Errorf("%s: %s", notice.ID, notice.Type)
		}
	}
	if m, err := consumer.Next(jetstream.FetchMaxWait(100 * time.Millisecond)); err == nil && !strings.HasSuffix(m.Subject(), ".counts_changed") {
		t.Errorf("one more is told: %s", m.Data())
	} else if err != nil && !errors.Is(err, nats.ErrTimeout) {
		t.Error(err)
	}
}
