package centre

import (
	"bahi/internal/natstest"
	"context"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestThroughALeafNode: a centre signs in at a leaf node near by, whose link to
// the ledger's server is cut. The leaf node keeps nothing; the spool does.
func TestThroughALeafNode(t *testing.T) {
	t.Parallel()
	options := &server.Options{ServerName: "hub", JetStream: true, StoreDir: t.TempDir(), SyncAlways: true}
	options.LeafNode.Host, options.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	hub := natstest.Start(t, options)
	ledger := &upstream{t: t, dir: t.TempDir(), nats: hub.ClientURL()}
	ledger.open()
	t.Cleanup(func() { ledger.shut() })

	link := openOutage(t)
	link.to("127.0.0.1:" + strconv.Itoa(options.LeafNode.Port))
	remote, err := url.Parse(link.url())
	if err != nil {
		t.Fatal(err)
	}
	options = &server.Options{ServerName: "leaf"}
	options.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
	options.LeafNode.ReconnectInterval = 20 * time.Millisecond
	leaf := natstest.Start(t, options)

	c := config(t)
	c.Server = leaf.ClientURL()
	working := run(t, c)
	for n := range 20 {
		keep(t, working.Centre, registration(n))
		keep(t, working.Centre, dose(n, 1))
		if n%5 == 2 {
			link.cut()
		}
		time.Sleep(10 * time.Millisecond)
	}
	working.drained(patience)
	ledger.wantCounts(20, 20, 0)
	working.linked()
	if s, err := working.Status(context.Background()); err != nil || len(s.Refused) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
