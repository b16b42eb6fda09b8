package centre

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"bahi/domain"
)

// fileService says where the process that has the directory is to be reached.
const fileService = "service.json"

type service struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

func announce(dir string, s service) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(dir, fileService), append(b, '\n'))
}

// Local speaks to the process that has a centre's directory, as a caller on the
// same machine.
type Local struct {
	url, token string
}

// Find finds the process that has the directory. With no keys named they are
// beside it. The error is [ErrLocked] when that process has no door.
func Find(dir, keys string) (*Local, error) {
	if keys == "" {
		keys = filepath.Clean(dir) + "-keys"
	}
	b, err := os.ReadFile(filepath.Join(dir, fileService))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrLocked
	}
	var s service
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("where the centre's process is cannot be read: %w", err)
	}
	token, err := openToken(filepath.Join(keys, fileToken))
	if err != nil {
		return nil, fmt.Errorf("the token for local callers: %w", err)
	}
	return &Local{s.URL, token}, nil
}

// Status asks how the centre is doing.
func (l *Local) Status(ctx context.Context) (s Status, err error) {
	return s, l.get(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Retry has refused bundles tried again: one, or all with the zero id.
func (l *Local) Retry(ctx context.Context, id domain.UUID) (int, error) {
	query := url.Values{}
	if id != (domain.UUID{}) {
		query.Set("bundle", id.String())
	}
	var r Retried
	err := l.get(ctx, http.MethodPost, "/v1/retry", query, &r)
	return r.Bundles, err
}

// Verdicts copies verdicts to out: of one bundle, or all with the zero id.
func (l *Local) Verdicts(ctx context.Context, id domain.UUID, rejected bool, out io.Writer) error {
	query := url.Values{}
	if id != (domain.UUID{}) {
		query.Set("bundle", id.String())
	}
	if rejected {
		query.Set("rejected", "true")
	}
	answer, err := l.call(ctx, http.MethodGet, "/v1/verdicts", query)
	if err != nil {
		return err
	}
	defer answer.Close()
	if _, err := io.Copy(out, answer); err != nil {
		return fmt.Errorf("the centre's process broke off: %w", err)
	}
	return nil
}

func (l *Local) get(ctx context.Context, method, path string, query url.Values, v any) error {
	answer, err := l.call(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(v); err != nil {
		return fmt.Errorf("the centre's process does not answer as one: %w", err)
	}
	return nil
}

// call makes a request. An error of the centre's is a [*Problem].
func (l *Local) call(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, l.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+l.token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: requestTime}}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the centre's process does not answer: %w", err)
	}
	if answer.StatusCode < 300 {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	p := &Problem{Status: answer.StatusCode}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(p); err != nil || p.Detail == "" {
		return nil, fmt.Errorf("the centre's process answers with status %d", answer.StatusCode)
	}
	return nil, p
}
