package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls a ledger that a service holds. Its methods are those of
// [ledger.Ledger], with the same types and the same errors to decide on. It is
// safe for concurrent use.
//
// An error never holds the path or the query of a request, nor the token.
type Client struct {
	base   *url.URL
	token  string
	http   *http.Client
	plain  bool          // plain HTTP to another machine is allowed
	silent time.Duration // how long a stream may say nothing
}

// A DialOption changes what [Dial] permits.
type DialOption func(*Client)

// AllowPlainHTTP lets a client send its token, and personal data, to another
// machine without TLS. It is for networks that encrypt by themselves.
func AllowPlainHTTP() DialOption { return func(c *Client) { c.plain = true } }

// Bounds of a call.
const (
	connectPatience = 10 * time.Second
	callPatience    = 3 * time.Minute  // for an answer that is one value; the server takes two at most
	freezePatience  = 30 * time.Minute // a district's keys and rows are destroyed meanwhile
	streamPatience  = 5 * time.Minute  // between two pieces of a stream
	maxAnswer       = 1 << 30          // bytes of an answer that is one value
	maxProblem      = 64 << 10
)

// Dial returns a client of the service at a URL such as http://127.0.0.1:8080. It
// does not connect before the first call.
func Dial(server, token string, options ...DialOption) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("a service is named by its URL, such as http://127.0.0.1:8080")
	}
	if token == "" {
		return nil, errors.New("no token is given; the service's first start wrote one per role into the directory tokens beside its keys")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token is not one: it has spaces or other characters that no token has")
	}
	c := &Client{base: base, token: token, silent: streamPatience}
	for _, o := range options {
		o(c)
	}
	if base.Scheme == "http" && !c.plain && !isLoopback(base.Hostname()) {
		return nil, fmt.Errorf("the token would cross the network to %s in the clear; use https, or a tunnel to this machine's own 127.0.0.1", base.Hostname())
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: connectPatience}).DialContext,
		TLSHandshakeTimeout:   connectPatience,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
	}
	if base.Scheme == "https" {
		transport.Proxy = http.ProxyFromEnvironment // it sees ciphertext only
	}
	c.http = &http.Client{
		Transport: transport,
		// Whoever redirects would be sent the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close ends idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// UnreachableError says that no service took the connection, so nothing was sent.
type UnreachableError struct {
	Server string // scheme, host and port
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no service answers at %s; start one with: bahi serve, or check the address (%v)", e.Server, e.Err)
}

// Unwrap returns what the network says.
func (e *UnreachableError) Unwrap() error { return e.Err }

// request is a call to be made.
type request struct {
	method string
	path   string
	query  url.Values
	header map[string]string
	body   []byte
	kind   string // content type of body
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := *c.base
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+r.path, ""
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	call, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, errors.New("the request cannot be made: a name in it is no part of a URL")
	}
	call.Header.Set("Authorization", "Bearer "+c.token)
	call.Header.Set("User-Agent", "bahi")
	// Whatever is asked twice is done once, so net/http may ask again when a
	// connection turns out to be gone. Without a value the header is not sent.
	call.Header[keyHeader] = []string{}
	if r.kind != "" {
		call.Header.Set("Content-Type", r.kind)
	}
	for name, value := range r.header {
		call.Header.Set(name, value)
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, c.refused(response)
	}
	return response, nil
}

// failed says what became of a call that got no answer. The error of net/http
// quotes the URL, and so perhaps a reference number: only its cause is kept.
func (c *Client) failed(ctx context.Context, err error) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	if cause := context.Cause(ctx); cause != nil {
		if cause != context.Canceled && cause != context.DeadlineExceeded {
			return cause
		}
		return fmt.Errorf("the call to %s://%s was ended: %w", c.base.Scheme, c.base.Host, cause)
	}
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return &UnreachableError{Server: c.base.Scheme + "://" + c.base.Host, Err: network.Err}
	}
	return fmt.Errorf("the connection to %s://%s broke off before the answer came: %w", c.base.Scheme, c.base.Host, err)
}

// refused reads the problem that was answered.
func (c *Client) refused(response *http.Response) error {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	var p Problem
	if kind != problemType || json.NewDecoder(io.LimitReader(response.Body, maxProblem)).Decode(&p) != nil || p.Code == "" {
		return fmt.Errorf("what answers at %s://%s is not Bahi (HTTP status %d); check the address", c.base.Scheme, c.base.Host, response.StatusCode)
	}
	if p.Status == 0 && p.Title == "" {
		p.Status = response.StatusCode
	}
	return p.asError()
}

// call makes a request that is answered with one JSON value.
func call[T any](ctx context.Context, c *Client, patience time.Duration, r request) (v T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the service did not answer in %s", patience))
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return v, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&v); err != nil {
		var zero T
		if ctx.Err() != nil {
			return zero, c.failed(ctx, err)
		}
		return zero, errUnreadable // the decoder's own error may quote what it read
	}
	return v, nil
}

var errUnreadable = errors.New("the service's answer cannot be read; it broke off, or the service is of another version")
