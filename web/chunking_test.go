package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"bahi/vault"
)

// A body whose chunks are none is the sender's fault, on every route that reads one.
func TestMalformedChunks(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, role := range map[string]string{
		"/v1/submissions": vault.RoleCentre, "/v1/people/lookup": vault.RoleOfficer, "/v1/tokens": vault.RoleAuthority,
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", path, s.token(t, role))
		got, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s is answered %d", path, got.StatusCode)
		}
		got.Body.Close()
		c.Close()
	}
}
