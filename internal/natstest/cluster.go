package natstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster starts three NATS servers that replicate, as an operator would run them,
// and returns their addresses, joined by commas. A short run skips the test.
func Cluster(tb testing.TB) (urls string) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("a cluster of three takes some seconds to find its leaders")
	}
	ports := Ports(tb, 3)
	var routes, clients []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	var servers []*server.Server
	for i, port := range ports {
		s := Start(tb, &server.Options{
			ServerName: fmt.Sprintf("node-%d", i),
			JetStream:  true, StoreDir: tb.TempDir(), SyncAlways: true,
			Cluster: server.ClusterOpts{Name: "bahi", Host: "127.0.0.1", Port: port},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		})
		servers, clients = append(servers, s), append(clients, s.ClientURL())
	}
	deadline := time.Now().Add(Patience)
	for _, s := range servers {
		for !s.JetStreamIsCurrent() {
			if time.Now().After(deadline) {
				tb.Fatal("the cluster finds no leader")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return strings.Join(clients, ",")
}
