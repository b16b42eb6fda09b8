package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) replayCommand() *cobra.Command {
	var from, to, district, kind, format string
	c := &cobra.Command{
		Use:   "replay",
		Short: "History for analysts, one event a line, under pseudonyms made for this export",
		Long: `Replay prints the ledger's events in their order. A person has the same pseudonym
throughout one export and another in the next. Centre, batch, time of day and
commit numbers are not told: who stood in the queue could pick the record by them.`,
		Example: `  bahi replay --data ./ledger --district 208 --type dose --format csv > doses.csv
  bahi replay --data ./ledger --from 2021-02-01 --to 2021-02-28`,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := replayQuery(from, to, district, kind)
			if err != nil {
				return usage("%w", err)
			}
			if format != "ndjson" && format != "csv" {
				return usage("--format is ndjson or csv")
			}
			return p.with(c.Context(), vault.RoleAnalyst, func(d door) error { return p.replay(c, d, q, format) })
		},
	}
	p.ledgerFlags(c)
	f := c.Flags()
	f.StringVar(&from, "from", "", "first commit (a number) or time of recording")
	f.StringVar(&to, "to", "", "last commit (a number) or time of recording; a day counts to its end")
	f.StringVar(&district, "district", "", "only events of this district, of its people or given in it")
	f.StringVar(&kind, "type", "", "only events of this type: "+strings.Join(ledger.ReplayTypes, ", "))
	f.StringVar(&format, "format", "ndjson", "ndjson or csv")
	f.Bool("json", true, "ndjson is JSON already")
	must(c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(ledger.ReplayTypes, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"ndjson", "csv"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func replayQuery(from, to, district, kind string) (q ledger.ReplayQuery, err error) {
	if q.FromSequence, err = strconv.ParseUint(from, 10, 64); err != nil && from != "" {
		if q.FromTime, err = domain.ParseTime(from); err != nil {
			return q, fmt.Errorf("--from: %w", err)
		}
	}
	if q.ToSequence, err = strconv.ParseUint(to, 10, 64); err != nil && to != "" {
		if q.ToTime, err = domain.ParseTime(to); err != nil {
			return q, fmt.Errorf("--to: %w", err)
		}
		if day, err := domain.ParseDay(to); err == nil {
			q.ToTime = day.End()
		}
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

var replayColumns = []string{"type", "day", "recorded", "person", "district", "group", "sex", "dose_district", "dose", "vaccine", "status_before", "status_after", "approved", "reason", "mode", "frozen_people"}

func (p *program) replay(c *cobra.Command, d door, q ledger.ReplayQuery, format string) error {
	out := bufio.NewWriterSize(p.stdout, 256<<10)
	lines := json.NewEncoder(out)
	table := csv.NewWriter(out)
	if format == "csv" {
		table.Write(replayColumns)
	}
	bar := p.meter("replaying")
	var n int64
	for e, err := range d.Replay(c.Context(), q) {
		if err != nil {
			return err
		}
		if format == "csv" {
			err = table.Write(replayRow(e))
		} else {
			err = lines.Encode(e)
		}
		if err != nil {
			return err
		}
		n++
		bar.to(n, 0)
	}
	bar.done()
	table.Flush()
	if err := table.Error(); err != nil {
		return err
	}
	return out.Flush()
}

func replayRow(e ledger.ReplayEvent) []string {
	number := func(d domain.District) string {
		if d == 0 {
			return ""
		}
		return strconv.Itoa(int(d))
	}
	approved, people := "", ""
	if e.Approved != nil {
		approved = strconv.FormatBool(*e.Approved)
	}
	if e.FrozenPeople != nil {
		people = strconv.FormatInt(*e.FrozenPeople, 10)
	}
	return []string{
		e.Type, e.Day.String(), e.Recorded.String(), e.Person, number(e.District), e.Group.String(), e.Sex.String(),
		number(e.DoseDistrict), e.Dose, e.Vaccine.String(), e.StatusBefore.String(), e.StatusAfter.String(),
		approved, e.Reason.String(), e.Mode.String(), people,
	}
}
