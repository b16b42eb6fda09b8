package main

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"

	"bahi/internal/natstest"
)

// natsKey is where a script keeps the NATS server that runs on a configuration.
type natsKey struct{}

type configured struct{ server *server.Server }

// natsServer starts a NATS server of an operator's own: one that lets everybody do
// everything, or one on the configuration in a file; "nats reload" has that one read
// its file again.
func natsServer(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		c := ts.Value(natsKey{}).(*configured)
		switch {
		case neg || len(args) > 1:
			ts.Fatalf("usage: nats [FILE | reload]")
		case len(args) == 0:
			ts.Setenv("NATS", natstest.Server(t))
		case args[0] == "reload":
			ts.Check(c.server.Reload())
		default:
			options, err := server.ProcessConfigFile(ts.MkAbs(args[0]))
			ts.Check(err)
			options.NoLog, options.NoSigs = true, true
			c.server, err = server.NewServer(options)
			ts.Check(err)
			ts.Defer(func() {
				c.server.Shutdown()
				c.server.WaitForShutdown()
			})
			c.server.Start()
			ts.Setenv("NATS", c.server.ClientURL())
		}
	}
}
