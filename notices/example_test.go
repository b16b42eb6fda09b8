package notices_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/ledger"
	"bahi/notices"
)

// A ledger is frozen, and whoever listens to the district hears of it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "bahi-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := ledger.Open(ctx, ledger.Config{Data: filepath.Join(dir, "data"), Sandbox: true})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close(ctx)
	conn, err := l.Store().Connect("notices")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	follower, err := notices.Open(ctx, l, conn, notices.Options{})
	if err != nil {
		log.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- follower.Serve(serving) }()

	at := time.Date(2021, 3, 4, 18, 0, 0, 0, domain.IndianStandardTime)
	_, err = l.Freeze(ctx, domain.Freeze{
		Heading: domain.Heading{ID: domain.UUID{15: 1}, At: at}, District: 208, Mode: domain.Erase, Order: "DL/2021/117", By: "authority",
	})
	if err != nil {
		log.Fatal(err)
	}

	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(ctx, "NOTICES", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{notices.Subject(208, domain.NoticeFreezeAnnounced)},
	})
	if err != nil {
		log.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
	if err != nil {
		log.Fatal(err)
	}
	var notice struct {
		Type, Time string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(m.Data(), &notice); err != nil {
		log.Fatal(err)
	}
	fmt.Println(notice.Type, notice.Time)
	fmt.Println(string(notice.Data))
	stop()
	fmt.Println(<-ended)
	// Output:
	// in.bahi.freeze.announced 2021-03-04T18:00:00+05:30
	// {"district":208,"day":"2021-03-04","freeze":"00000000-0000-0000-0000-000000000001","groups":["HCW","FLW","AGE60_PLUS","AGE45_60","AGE18_44","AGE15_17","AGE12_14"],"standing":false,"mode":"erase","order":"DL/2021/117","people":0}
	// <nil>
}
