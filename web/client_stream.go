package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"bahi/projections"
)

// maxAnswerLine is the longest line of an answer that is read, in bytes.
const maxAnswerLine = 1 << 20

// listen makes a request whose answer may take long as long as it keeps coming, and calls
// read with it.
func (c *Client) listen(ctx context.Context, r request, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.silent, func() {
		cancel(fmt.Errorf("the service has said nothing for %s", c.silent))
	})
	defer silence.Stop()
	response, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	err = read(heard{response.Body, func() { silence.Reset(c.silent) }})
	if broken, ok := err.(brokenAnswer); ok {
		if err = broken.error; ctx.Err() != nil {
			err = c.failed(ctx, err)
		}
	}
	return err
}

// brokenAnswer is what kept an answer from being read to its end, unless ctx did.
type brokenAnswer struct{ error }

// follow makes a request that is answered with NDJSON, and calls each with every
// line in turn; the line is its own until it returns. An error of each ends the
// call and is returned. The answer's last line may be a problem: then that is the
// error.
func (c *Client) follow(ctx context.Context, r request, each func(line []byte) error) error {
	return c.listen(ctx, r, func(answer io.Reader) error {
		lines := bufio.NewScanner(answer)
		lines.Buffer(make([]byte, 0, 4<<10), maxAnswerLine)
		for lines.Scan() {
			line := lines.Bytes()
			if len(line) == 0 {
				continue // nothing came for a while
			}
			if bytes.HasPrefix(line, problemPrefix) {
				var last problemLine
				if err := json.Unmarshal(line, &last); err != nil || last.Problem == nil {
					return errUnreadable
				}
				return last.Problem.asError()
			}
			if err := each(line); err != nil {
				return err
			}
		}
		switch err := lines.Err(); {
		case err == nil:
			return nil
		case errors.Is(err, bufio.ErrTooLong):
			return errUnreadable
		default:
			return brokenAnswer{fmt.Errorf("the service's answer broke off: %w", err)}
		}
	})
}

// problemPrefix begins a [problemLine], and no other line.
var problemPrefix = []byte(`{"problem":`)

// heard calls hear whenever something comes.
type heard struct {
	io.Reader
	hear func()
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.hear()
	}
	return n, err
}

// values yields the lines of an answer as values. Breaking off ends the request.
func values[T any](ctx context.Context, c *Client, r request) func(func(T, error) bool) {
	return func(yield func(T, error) bool) {
		err := c.follow(ctx, r, func(line []byte) error {
			var v T
			if err := json.Unmarshal(line, &v); err != nil {
				return errUnreadable
			}
			if !yield(v, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough {
			var zero T
			yield(zero, err)
		}
	}
}

var errEnough = errors.New("enough")

// await makes a request that is answered with progress and, in the end, a result.
func await[T any](ctx context.Context, c *Client, r request, tell func(projections.Progress)) (result T, err error) {
	ended := false
	err = c.follow(ctx, r, func(raw []byte) error {
		var line workLine[T]
		if err := json.Unmarshal(raw, &line); err != nil {
			return errUnreadable
		}
		switch {
		case line.Result != nil:
			result, ended = *line.Result, true
		case line.Progress != nil:
			tell(*line.Progress)
		}
		return nil
	})
	if err == nil && !ended {
		err = errUnreadable
	}
	return result, err
}
