package natstest

import (
	"fmt"
	"net"
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
	var ports []int
	var routes, clients []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, "nats://"+l.Addr().String())
		l.Close()
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
	deadline := time.Now().Add(30 * time.Second)
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
