package natstest

import (
	"fmt"
	"net"
	"os"
	"testing"
)

// Ports returns so many loopback ports that are free, and nobody else's until the test
// ends: a server may be stopped and started again on one. They lie outside of the range
// from which the kernel takes ports for outgoing connections and for who asks for any,
// and other tests on this machine, which may run in other processes, leave them alone.
func Ports(tb testing.TB, n int) (ports []int) {
	tb.Helper()
	low, high, err := portRange()
	if err != nil {
		tb.Fatal(err)
	}
	for port := low; port <= high && len(ports) < n; port++ {
		if own(tb, port) {
			ports = append(ports, port)
		}
	}
	if len(ports) < n {
		tb.Fatalf("there are no %d free ports between %d and %d", n, low, high)
	}
	return ports
}

// portRange is the larger of the ranges below and above the kernel's own.
func portRange() (low, high int, err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0, 0, fmt.Errorf("ip_local_port_range: %w", err)
	}
	const least = 10_000 // below are those of well-known services
	if low-least >= 65_535-high {
		return least, low - 1, nil
	}
	return high + 1, 65_535, nil
}

// own takes a port until the test ends, unless somebody has it. A socket with a name,
// which goes with the process however that ends, tells other tests.
func own(tb testing.TB, port int) bool {
	tb.Helper()
	name, err := net.Listen("unix", fmt.Sprintf("@bahi-test-port-%d", port))
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		name.Close()
		return false
	}
	l.Close()
	tb.Cleanup(func() { name.Close() })
	return true
}
