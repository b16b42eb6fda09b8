package export

import (
	"strconv"
	"strings"

	"bahi/domain"
	"bahi/ledger"
)

// row is an event as Parquet has it; nil is null. The tags are the schema, and the
// names the header of CSV. What may be null is a pointer: of values, parquet-go finds
// the zeros that it takes for null itself, and misses some behind others (its issue 154).
type row struct {
	Type         string  `parquet:"type,dict"`
	Day          int32   `parquet:"day,date"` // days since 1970-01-01
	Recorded     int32   `parquet:"recorded,date"`
	Person       *string `parquet:"person,optional,plain"` // not by deltas, the default, which fastparquet does not read
	District     int32   `parquet:"district"`
	Group        *string `parquet:"group,optional,dict"`
	Sex          *string `parquet:"sex,optional,dict"`
	DoseDistrict *int32  `parquet:"dose_district,optional"`
	Dose         *string `parquet:"dose,optional,dict"`
	Vaccine      *string `parquet:"vaccine,optional,dict"`
	StatusBefore *string `parquet:"status_before,optional,dict"`
	StatusAfter  *string `parquet:"status_after,optional,dict"`
	Approved     *bool   `parquet:"approved,optional"`
	Reason       *string `parquet:"reason,optional,dict"`
	Mode         *string `parquet:"mode,optional,dict"`
	FrozenPeople *int64  `parquet:"frozen_people,optional"`
	Counted      *int32  `parquet:"counted,optional,date"`
	TakenBack    *string `parquet:"taken_back,optional,dict"`
	RequestEnded *bool   `parquet:"request_ended,optional"`
}

// exactRow is a row of an export that tells commits and times.
type exactRow struct {
	row
	Commit     int64 `parquet:"commit"`
	RecordedAt int64 `parquet:"recorded_at,timestamp(millisecond)"` // UTC, since 1970
}

func rowOf(e ledger.ReplayEvent) row {
	return row{
		Type: e.Type, Day: int32(e.Day), Recorded: int32(e.Recorded), Person: some(e.Person),
		District: int32(e.District), Group: some(e.Group.String()), Sex: some(e.Sex.String()),
		DoseDistrict: some(int32(e.DoseDistrict)), Dose: some(e.Dose), Vaccine: some(e.Vaccine.String()),
		StatusBefore: some(e.StatusBefore.String()), StatusAfter: some(e.StatusAfter.String()),
		Approved: e.Approved, Reason: some(e.Reason.String()), Mode: some(e.Mode.String()), FrozenPeople: e.FrozenPeople,
		Counted: some(int32(e.Counted)), TakenBack: some(strings.Join(e.TakenBack, " ")), RequestEnded: some(e.RequestEnded),
	}
}

// some is nil for what does not apply: what is empty, or 0.
func some[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

func exactRowOf(e ledger.ReplayEvent) exactRow {
	r := exactRow{row: rowOf(e), Commit: int64(e.Commit)}
	if e.RecordedAt != nil {
		r.RecordedAt = e.RecordedAt.UnixMilli()
	}
	return r
}

// header are the columns of CSV; exactHeader stands behind them in an exact export.
var (
	header = []string{
		"type", "day", "recorded", "person", "district", "group", "sex", "dose_district", "dose", "vaccine",
		"status_before", "status_after", "approved", "reason", "mode", "frozen_people", "counted", "taken_back", "request_ended",
	}
	exactHeader = []string{"commit", "recorded_at"}
)

// recordedAtLayout is RFC 3339 in Indian Standard Time, to the millisecond.
const recordedAtLayout = "2006-01-02T15:04:05.000Z07:00"

// fields appends the fields of a CSV record.
func fields(to []string, e ledger.ReplayEvent, exact bool) []string {
	to = append(to,
		e.Type, e.Day.String(), e.Recorded.String(), e.Person, number(int64(e.District)), e.Group.String(), e.Sex.String(),
		number(int64(e.DoseDistrict)), e.Dose, e.Vaccine.String(), e.StatusBefore.String(), e.StatusAfter.String(),
		"", e.Reason.String(), e.Mode.String(), "", "", strings.Join(e.TakenBack, " "), "")
	if e.Approved != nil {
		to[12] = strconv.FormatBool(*e.Approved)
	}
	if e.FrozenPeople != nil {
		to[15] = strconv.FormatInt(*e.FrozenPeople, 10)
	}
	if e.Counted != 0 {
		to[16] = e.Counted.String()
	}
	if e.RequestEnded {
		to[18] = "true"
	}
	if exact {
		at := ""
		if e.RecordedAt != nil {
			at = e.RecordedAt.In(domain.IndianStandardTime).Format(recordedAtLayout)
		}
		to = append(to, number(int64(e.Commit)), at)
	}
	return to
}

// number writes what is not 0.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
