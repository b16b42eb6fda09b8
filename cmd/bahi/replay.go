package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/export"
	"bahi/ledger"
	"bahi/vault"
)

// replaying are the flags of a replay.
type replaying struct {
	from, to, district, kind, format string
	out, state                       string
	exact, follow                    bool
}

func (p *program) replayCommand() *cobra.Command {
	var r replaying
	c := &cobra.Command{
		Use:   "replay",
		Short: "History for analysts, one event a line, under pseudonyms made for this export",
		Long: `Replay prints the ledger's events in the order of the days on which they were
recorded. A person has the same pseudonym throughout one export and another in the
next. Centre and batch are never told. Time of day and commit number are not told
either, and the events of a day are mixed: who stood in the queue could pick the
record by them. --exact tells them, in the ledger's order, to operators and auditors:
those who open the ledger themselves, or whose token says so.

--out writes a file, which has its name only when it is whole. With --resume, an export
that was cut off goes on when the same command is given again. The state file holds
the key of the export's pseudonyms: who has it can link this export with others. It is
removed when the export is done. docs/EXPORTS.md has the columns.`,
		Example: `  bahi replay --data ./ledger --district 208 --type dose --format csv > doses.csv
  bahi replay --data ./ledger --from 2021-02-01 --to 2021-02-28
  bahi replay --data ./ledger --format parquet --out history.parquet
  bahi replay --data ./ledger --format csv --out history.csv --resume history.state
  bahi replay --data ./ledger --follow`,
		RunE: func(c *cobra.Command, _ []string) error {
			q, f, err := r.parse()
			if err != nil {
				return usage("%w", err)
			}
			role := vault.RoleAnalyst
			if r.exact || r.follow || r.state != "" {
				role = vault.RoleAuditor
			}
			return p.with(c.Context(), role, func(d door) error { return p.replay(c.Context(), d, q, f, r) })
		},
	}
	p.ledgerFlags(c)
	f := c.Flags()
	f.StringVar(&r.from, "from", "", "first commit (a number) or time of recording")
	f.StringVar(&r.to, "to", "", "last commit (a number) or time of recording; a day counts to its end")
	f.StringVar(&r.district, "district", "", "only events of this district, of its people or given in it")
	f.StringVar(&r.kind, "type", "", "only events of this type: "+strings.Join(ledger.ReplayTypes, ", "))
	f.StringVar(&r.format, "format", "ndjson", "ndjson, csv or parquet")
	f.StringVar(&r.out, "out", "", "file to write (default: standard output)")
	f.StringVar(&r.state, "resume", "", "file that keeps how far the export is, so that it can go on after a cut; needs --out")
	f.BoolVar(&r.exact, "exact", false, "tell commit numbers and times; for operators and auditors")
	f.BoolVar(&r.follow, "follow", false, "go on with what comes, until ^C; for operators and auditors")
	f.Bool("json", true, "ndjson is JSON already")
	must(c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(ledger.ReplayTypes, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(export.Formats, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (r replaying) parse() (ledger.ReplayQuery, export.Format, error) {
	q, err := replayQuery(r.from, r.to, r.district, r.kind)
	if err != nil {
		return q, "", err
	}
	format, err := export.ParseFormat(r.format)
	switch {
	case err != nil:
		return q, "", errors.New("--format is ndjson, csv or parquet")
	case r.state != "" && r.out == "":
		return q, "", errors.New("--resume needs --out: what is printed cannot be continued")
	case r.state != "" && export.Collide(r.out, r.state):
		return q, "", errors.New("--resume and --out are two files: one says how far the other is")
	case r.follow && (r.out != "" || format == export.Parquet):
		return q, "", errors.New("--follow prints lines: it goes with --format ndjson or csv, without --out")
	}
	q.Exact, q.Follow = r.exact, r.follow
	return q, format, nil
}

func replayQuery(from, to, district, kind string) (q ledger.ReplayQuery, err error) {
	if q.FromSequence, err = strconv.ParseUint(from, 10, 64); err != nil && from != "" {
		if q.FromTime, err = domain.ParseTime(from); err != nil {
			return q, fmt.Errorf("--from: %w", err)
		}
	}
	if q.ToSequence, err = strconv.ParseUint(to, 10, 64); err != nil && to != "" {
		if q.ToTime, err = parseLast(to); err != nil {
			return q, fmt.Errorf("--to: %w", err)
		}
	}
	if to != "" && q.ToTime.IsZero() && q.ToSequence == 0 {
		return q, errors.New("--to: the first commit is number 1")
	}
	if kind != "" && !slices.Contains(ledger.ReplayTypes, kind) {
		return q, fmt.Errorf("--type is one of %s", strings.Join(ledger.ReplayTypes, ", "))
	}
	q.Type = kind
	if district != "" {
		q.District, err = domain.ParseDistrict(district)
		return q, err
	}
	return q, nil
}

func (p *program) replay(ctx context.Context, d door, q ledger.ReplayQuery, f export.Format, r replaying) error {
	bar := p.meter("replaying")
	defer bar.done()
	progress := func(events int64) { bar.to(events, 0) }
	replay := func(q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] { return d.Replay(ctx, q) }
	options := export.Options{Exact: q.Exact}
	switch {
	case r.state != "":
		info, err := d.Info(ctx)
		if err != nil {
			return err
		}
		return export.Resume(export.Job{Out: r.out, State: r.state, Format: f, Query: q, Ledger: info.Origin, Head: info.Head, HeadRecorded: recordedAt(info)}, replay, progress)
	case r.out != "":
		return export.ToFile(r.out, f, options, replay(q), progress)
	}
	w, err := export.NewWriter(p.stdout, f, options)
	if err != nil {
		return err
	}
	if q.Follow {
		progress = nil
	}
	err = export.Copy(w, replay(q), q.Follow, progress)
	if q.Follow && ctx.Err() != nil {
		return nil // ^C is how it ends
	}
	return err
}

// recordedAt returns when the last commit was recorded; zero when there is none.
func recordedAt(info ledger.Info) (t time.Time) {
	if info.Recorded != nil {
		t = *info.Recorded
	}
	return t
}

// Replay tells whoever opens the ledger with its keys what they ask for: bounds
// within a day, and more with --exact.
func (d direct) Replay(ctx context.Context, q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
	q.WithinDay = true
	return d.Ledger.Replay(ctx, q)
}
