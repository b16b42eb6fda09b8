package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"bahi/domain"
)

// CodeNotPermitted stands for a [DeniedError] where there is a code instead of a
// sentence.
const CodeNotPermitted = "not_permitted"

// DeniedError says that the NATS server does not let the connection publish or listen
// as the centre. To try again later is of no use until nkey, district and centre belong
// together there.
type DeniedError struct {
	District domain.District // 0 when no centre was named
	Centre   string
	Subject  string // what was denied, or what it begins with
}

func (e *DeniedError) Error() string {
	if e.Centre == "" {
		return "the NATS server denies this nkey the subject " + e.Subject
	}
	return fmt.Sprintf("this nkey is not that of centre %s of district %d, or the centre is not registered: the NATS server denies it the subject %s", e.Centre, e.District, e.Subject)
}

// call is a call of a client that is under way.
type call struct {
	from sender // nobody when it is about no centre
	own  []string
	end  context.CancelCauseFunc
}

// begin notes a call, so that it ends when the server denies it one of its own subjects,
// or one below. The server says so on the connection, and answers nothing.
func (c *Client) begin(ctx context.Context, from sender) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	this := &call{from: from, own: []string{KeySubject, c.options.InboxPrefix}, end: end}
	if from.Centre != "" {
		this.own = append(this.own, from.subject(), "bahi.verdicts."+from.tokens(), InboxPrefix(from.District, from.Centre))
	}
	c.callsMu.Lock()
	defer c.callsMu.Unlock()
	if c.calls == nil {
		c.calls = map[*call]bool{}
	}
	c.calls[this] = true
	return ctx, func() {
		c.callsMu.Lock()
		defer c.callsMu.Unlock()
		delete(c.calls, this)
		end(nil)
	}
}

// orDenied returns the error of a call, or why it was ended.
func orDenied(ctx context.Context, err error) error {
	var denied *DeniedError
	if err != nil && errors.As(context.Cause(ctx), &denied) {
		return denied
	}
	return err
}

// heard takes an error of the connection, and ends the calls that it is about. It
// tells whether it was of this kind.
func (c *Client) heard(err error) bool {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return false
	}
	_, subject, _ := strings.Cut(err.Error(), `"`)
	subject, _, _ = strings.Cut(subject, `"`)
	c.callsMu.Lock()
	defer c.callsMu.Unlock()
	for one := range c.calls {
		for _, own := range one.own {
			if subject == own || strings.HasPrefix(subject, own+".") {
				one.end(&DeniedError{one.from.District, one.from.Centre, own})
			}
		}
	}
	return true
}

// heed has the client hear what its connection is told, before who heard it so far.
func (c *Client) heed() {
	next := c.conn.ErrorHandler()
	c.conn.SetErrorHandler(func(conn *nats.Conn, s *nats.Subscription, err error) {
		if !c.heard(err) && next != nil {
			next(conn, s, err)
		}
	})
}
