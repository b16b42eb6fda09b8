package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"bahi/vault"
)

// TestFraming cuts requests at every byte and sees what the watcher makes of them.
func TestFraming(t *testing.T) {
	t.Parallel()
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\ncontent-length: 40\r\n\r\nTransfer-Encoding: x\r\n\r\nContent-Length:1"
	for name, test := range map[string]struct {
		input           string
		smuggles, blind bool
	}{
		"plain":                  {get + post + get, false, false},
		"bare line feeds":        {"GET / HTTP/1.1\nHost: a\n\n" + get, false, false},
		"chunked":                {get + "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nContent-Length: 1\r\n\r\n", false, true},
		"both":                   {post + "POST / HTTP/1.1\r\nContent-Length: 4\r\ntransfer-ENCODING: chunked\r\n\r\n0\r\n\r\n", true, true},
		"both, the other way":    {get + "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", true, true},
		"a body named like both": {post + post, false, false},
		"no number":              {"POST / HTTP/1.1\r\nContent-Length: +1\r\nX: y\r\n\r\n" + strings.Repeat("x", 9), false, false},
		"a head without end":     {"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 20_000), false, true},
	} {
		for cut := range min(len(test.input), 400) {
			var f framing
			f.watch([]byte(test.input[:cut]))
			f.watch([]byte(test.input[cut:]))
			if f.smuggles.Load() != test.smuggles || f.blind != test.blind {
				t.Errorf("%s, cut at %d: smuggles %t, blind %t", name, cut, f.smuggles.Load(), f.blind)
			}
		}
	}
}

// TestTwoLengths sends a request with two lengths: nothing of it is done, and the
// connection ends.
func TestTwoLengths(t *testing.T) {
	t.Parallel()
	s := start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line := linesOf(registrationOf(1))
	fmt.Fprintf(conn, "POST /v1/submissions HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		s.token(t, vault.RoleCentre), len(line), len(line), line)
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusBadRequest || !answer.Close || !strings.Contains(string(body), codeTwoLengths) {
		t.Errorf("answered %d %v %s", answer.StatusCode, answer.Header, body)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("after it comes %q", rest)
	}
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", line)
	if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 || verdicts[0].Outcome.String() != "accepted" {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// FuzzFraming: however a connection is cut into reads, the same is seen.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\n\n"), 7)
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 40)
	f.Add([]byte("\n\n\r\n\r\nTransfer-Encoding\nContent-Length\n\n"), 3)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		cut = max(0, min(cut, len(input)))
		var whole, parts framing
		whole.watch(input)
		parts.watch(input[:cut])
		parts.watch(input[cut:])
		if whole.smuggles.Load() != parts.smuggles.Load() || whole.blind != parts.blind || !whole.blind && whole.body != parts.body {
			t.Errorf("whole %t %t %d, cut at %d %t %t %d", whole.smuggles.Load(), whole.blind, whole.body, cut, parts.smuggles.Load(), parts.blind, parts.body)
		}
	})
}
