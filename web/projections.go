package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"bahi/ledger"
	"bahi/projections"
)

func (s *Server) registerProjections() {
	answer(s, huma.Operation{
		OperationID: opProjections, Method: http.MethodGet, Path: "/v1/projections", Tags: tags("Operation"),
		Summary: "How far each projection has folded the ledger, and how far its rebuild is",
	}, func(ctx context.Context, _ *struct{}) ([]projections.ViewStatus, error) {
		return s.ledger.Projections(ctx)
	})

	stream(s, huma.Operation{
		OperationID: opRebuild, Method: http.MethodPost, Path: "/v1/projections/{name}/rebuild", Tags: tags("Operation"),
		Summary: "Rebuild a projection from the ledger",
		Description: "It is built beside the live one, compared with it, and takes its place at the end. Lines of progress come first; the last line has the result. " +
			"Whoever hangs up stops the rebuild; what was built stays, and the next one goes on there. One that is under way already is joined.",
	}, lineOf[workLine[projections.Rebuilt]], s.rebuild)

	stream(s, huma.Operation{
		OperationID: opWatchRebuild, Method: http.MethodGet, Path: "/v1/projections/{name}/rebuild", Tags: tags("Operation"),
		Summary:     "Watch the rebuild of a projection that is under way",
		Description: "Lines as those of the rebuild itself, whoever began it. Whoever hangs up stops nothing.",
		Responses:   s.problems(http.StatusNotFound),
	}, lineOf[workLine[projections.Rebuilt]], s.watchRebuild)

	answer(s, huma.Operation{
		OperationID: opStopRebuild, Method: http.MethodDelete, Path: "/v1/projections/{name}/rebuild", Tags: tags("Operation"),
		Summary:     "Stop a projection's rebuild",
		Description: "What was built stays for the next rebuild, unless it is to be discarded.",
	}, s.stopRebuild)

	stream(s, huma.Operation{
		OperationID: opVerifyProjections, Method: http.MethodPost, Path: "/v1/projections/verify", Tags: tags("Operation"),
		Summary:     "Compare projections with what the ledger says they must be",
		Description: "Lines of progress come first; the last line has the result.",
	}, lineOf[workLine[ledger.VerifyReport]], s.verifyProjections)
}

type rebuildInput struct {
	Name   string `path:"name" doc:"Name of the projection" example:"counts"`
	DryRun bool   `query:"dry_run" doc:"Build and compare, and remove what was built"`
	To     uint64 `query:"to" doc:"Build through this sequence of the ledger and tell the digest; implies dry_run"`
}

func (s *Server) rebuild(hctx huma.Context, in *rebuildInput) {
	s.working(hctx, func(ctx context.Context, out *lines) error {
		return work(ctx, out, func(ctx context.Context, tell func(projections.Progress)) (projections.Rebuilt, error) {
			return s.ledger.RebuildView(ctx, in.Name, projections.RebuildOptions{DryRun: in.DryRun, To: in.To}, tell)
		})
	})
}

type watchRebuildInput struct {
	Name string `path:"name" doc:"Name of the projection" example:"counts"`
}

func (s *Server) watchRebuild(hctx huma.Context, in *watchRebuildInput) {
	s.following(hctx, func(ctx context.Context, out *lines) error {
		return work(ctx, out, func(ctx context.Context, tell func(projections.Progress)) (projections.Rebuilt, error) {
			return s.ledger.WatchRebuild(ctx, in.Name, tell)
		})
	})
}

type stopRebuildInput struct {
	Name    string `path:"name" doc:"Name of the projection" example:"counts"`
	Discard bool   `query:"discard" doc:"Remove what was built, also of a rebuild that was stopped before"`
}

// stoppedRebuild tells whether there was a rebuild to stop, or something to remove.
type stoppedRebuild struct {
	View    string `json:"view"`
	Stopped bool   `json:"stopped"`
}

func (s *Server) stopRebuild(ctx context.Context, in *stopRebuildInput) (stoppedRebuild, error) {
	end := s.ledger.StopRebuild
	if in.Discard {
		end = s.ledger.AbortRebuild
	}
	stopped, err := end(ctx, in.Name)
	return stoppedRebuild{in.Name, stopped}, err
}

type verifyProjectionsInput struct {
	Names string `query:"names" doc:"Names of projections, several with commas; by default all" example:"counts"`
}

func (s *Server) verifyProjections(hctx huma.Context, in *verifyProjectionsInput) {
	s.working(hctx, func(ctx context.Context, out *lines) error {
		return work(ctx, out, func(ctx context.Context, tell func(projections.Progress)) (ledger.VerifyReport, error) {
			names := ledger.Views()
			if in.Names != "" {
				names = strings.Split(in.Names, ",")
			}
			return s.ledger.VerifyProjections(ctx, names, func(name string, done, total uint64) {
				tell(projections.Progress{View: name, Done: done, Total: total})
			})
		})
	})
}

// rebuildPath is a view's. A view that is not there needs no request.
func rebuildPath(name string) (string, error) {
	for _, known := range ledger.Views() {
		if name == known {
			return "/v1/projections/" + name + "/rebuild", nil
		}
	}
	return "", projections.ErrUnknownView
}

// RebuildView folds a view anew, as [ledger.Ledger.RebuildView] does. When ctx ends,
// the rebuild ends too, and leaves what was built.
func (c *Client) RebuildView(ctx context.Context, name string, o projections.RebuildOptions, tell func(projections.Progress)) (projections.Rebuilt, error) {
	path, err := rebuildPath(name)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	if tell == nil {
		tell = func(projections.Progress) {}
	}
	query := url.Values{}
	if o.DryRun {
		query.Set("dry_run", "true")
	}
	if o.To > 0 {
		query.Set("to", strconv.FormatUint(o.To, 10))
	}
	return await[projections.Rebuilt](ctx, c, request{method: http.MethodPost, path: path, query: query}, tell)
}

// WatchRebuild tells how far a rebuild is that is under way, as
// [ledger.Ledger.WatchRebuild] does.
func (c *Client) WatchRebuild(ctx context.Context, name string, tell func(projections.Progress)) (projections.Rebuilt, error) {
	path, err := rebuildPath(name)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	if tell == nil {
		tell = func(projections.Progress) {}
	}
	return await[projections.Rebuilt](ctx, c, request{method: http.MethodGet, path: path}, tell)
}

// Rebuild folds views anew, as [ledger.Ledger.Rebuild] does.
func (c *Client) Rebuild(ctx context.Context, names []string, tell func(name string, done, total uint64)) error {
	for _, name := range names {
		if _, err := c.RebuildView(ctx, name, projections.RebuildOptions{}, naming(tell)); err != nil {
			return err
		}
	}
	return nil
}

// StopRebuild ends a rebuild, as [ledger.Ledger.StopRebuild] does.
func (c *Client) StopRebuild(ctx context.Context, name string) (bool, error) {
	return c.endRebuild(ctx, name, nil)
}

// AbortRebuild ends a rebuild and removes what was built, as
// [ledger.Ledger.AbortRebuild] does.
func (c *Client) AbortRebuild(ctx context.Context, name string) (bool, error) {
	return c.endRebuild(ctx, name, url.Values{"discard": {"true"}})
}

func (c *Client) endRebuild(ctx context.Context, name string, query url.Values) (bool, error) {
	path, err := rebuildPath(name)
	if err != nil {
		return false, err
	}
	ended, err := call[stoppedRebuild](ctx, c, callPatience, request{method: http.MethodDelete, path: path, query: query})
	return ended.Stopped, err
}

// VerifyProjections folds views again and compares, as
// [ledger.Ledger.VerifyProjections] does.
func (c *Client) VerifyProjections(ctx context.Context, names []string, tell func(name string, done, total uint64)) (ledger.VerifyReport, error) {
	return await[ledger.VerifyReport](ctx, c, request{
		method: http.MethodPost, path: "/v1/projections/verify", query: url.Values{"names": {strings.Join(names, ",")}},
	}, naming(tell))
}
