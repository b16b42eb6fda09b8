package web

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bahi/access"
	"bahi/internal/natstest"
)

var aCentre = access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}

// TestRevokedWhileStreaming: an open stream does not outlast its token, whether it
// says something or waits.
func TestRevokedWhileStreaming(t *testing.T) {
	t.Parallel()
	for _, says := range []bool{true, false} {
		t.Run(fmt.Sprint(says), func(t *testing.T) {
			t.Parallel()
			s := start(t, func(l *limits) {
				l.stands = time.Hour // so that what it says is looked at
				if !says {
					l.stands = 10 * time.Millisecond
				}
			})
			issued := s.issue(t, aCentre)
			c := s.converseWith(t, issued.Text)
			c.say(registrationOf(1))
			if first := c.hear(); !strings.Contains(first, "accepted") {
				t.Fatalf("first %s", first)
			}
			if err := s.access.Revoke(t.Context(), access.Installation(authority), issued.ID); err != nil {
				t.Fatal(err)
			}
			if says {
				c.say(registrationOf(2))
			}
			if last := c.hear(); !strings.Contains(last, `"status":401,"code":"token_revoked"`) {
				t.Errorf("after it was revoked comes %q", last)
			}
		})
	}
}

// TestRevokedWhileFollowing: nor does an answer that goes on.
func TestRevokedWhileFollowing(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.stands = 10 * time.Millisecond })
	issued := s.issue(t, access.Grant{Role: auditor})
	time.AfterFunc(300*time.Millisecond, func() {
		if err := s.access.Revoke(t.Context(), access.Installation(authority), issued.ID); err != nil {
			t.Error(err)
		}
	})
	if got := s.with(t, issued.Text, "GET", "/v1/events?follow=true", ""); !strings.Contains(got.body, `"code":"token_revoked"`) {
		t.Errorf("answered %d %s", got.status, got.body)
	}
}

// TestBlankLinesAreNoProgress: a place among the streams is for submissions.
func TestBlankLinesAreNoProgress(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.silent, l.linger = 300*time.Millisecond, natstest.Patience })
	c := s.converse(t, centre)
	c.say(registrationOf(1))
	go func() {
		for {
			if _, err := c.out.Write([]byte("\n")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	got := c.hear()
	if strings.Contains(got, "accepted") { // or it came later than the service waits for
		got = c.hear()
	}
	if !strings.Contains(got, codeTooSlow) {
		t.Errorf("answered %q", got)
	}
}

func TestStreamsOfOneToken(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.perToken = 1 })
	token := s.issue(t, aCentre).Text
	c := s.converseWith(t, token)
	c.say(registrationOf(1))
	c.hear()
	if got := s.with(t, token, "POST", "/v1/submissions", linesOf(registrationOf(2))); got.status != http.StatusTooManyRequests || got.problem(t).Code != codeBusy {
		t.Errorf("the second is answered %d %s", got.status, got.body)
	}
	if got := s.with(t, s.issue(t, aCentre).Text, "POST", "/v1/submissions", linesOf(registrationOf(2))); got.status != http.StatusOK {
		t.Errorf("another token's is answered %d %s", got.status, got.body)
	}
}

// peer is a connection from an address.
type peer struct {
	net.Conn
	from   string
	closed bool
}

func (p *peer) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", p.from)
	return a
}

func (p *peer) Close() error {
	p.closed = true
	return nil
}

// TestCrowd: one address does not take all the places.
func TestCrowd(t *testing.T) {
	t.Parallel()
	c := crowd{most: 2}
	open := func(from string) *peer {
		p := &peer{from: from}
		c.state(p, http.StateNew)
		return p
	}
	one, _ := open("10.0.0.7:1"), open("10.0.0.7:2")
	if !open("10.0.0.7:3").closed || open("10.0.0.8:1").closed {
		t.Error("the third of an address stays, or another's first does not")
	}
	for range 5 {
		if open("127.0.0.1:1").closed {
			t.Error("this machine's is closed")
		}
	}
	c.state(one, http.StateActive)
	if open("10.0.0.7:4").closed {
		t.Error("one that asks is counted")
	}
	if c.state(one, http.StateIdle); !one.closed {
		t.Error("one that asks no more is not counted")
	}
}
