// Command bahi keeps a vaccination ledger that counts everyone and, when told
// to, remembers no one.
//
// Run `bahi --help` for its verbs, or `bahi demo` for the whole story in under a
// minute.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	// Whatever is written, the streams too, is this user's alone: the directory may
	// be of a kind that others can look into.
	syscall.Umask(0o077)
	// Most memory of a ledger is tables without pointers, which cost a collection next
	// to nothing: twice as many of those halve what lies about in between.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
