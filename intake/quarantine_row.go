package intake

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bahi/domain"
	"bahi/formats"
)

// row is one refused submission.
type row struct {
	verdict    *domain.Verdict   // nil where its bundle failed as a whole
	submission domain.Submission // nil when it is not kept
}

// What is sealed into quarantine is a line that says what follows, and that. Of a
// bundle that did not open:
//
//	bahi quarantine 1 bundle
//	the bundle as it came
//
// Of n refused submissions:
//
//	bahi quarantine 1 rows n
//	n lines of verdicts, empty where there is none
//	n lines of submissions in the native format, empty where one is not kept
//
// A submission is written anew from what was read of it: what the ledger does not
// collect is not in it.
const (
	contentBundle = "bahi quarantine 1 bundle"
	contentRows   = "bahi quarantine 1 rows "
)

func appendBundleContent(sealed []byte) []byte { return append([]byte(contentBundle+"\n"), sealed...) }

func appendRows(rows []row) []byte {
	b := append(strconv.AppendInt([]byte(contentRows), int64(len(rows)), 10), '\n')
	for _, r := range rows {
		b = r.appendVerdict(b)
	}
	for _, r := range rows {
		b = r.appendSubmission(b)
	}
	return b
}

func (r row) appendVerdict(b []byte) []byte {
	if r.verdict != nil {
		b = formats.AppendVerdict(b, *r.verdict)
	}
	return append(b, '\n')
}

func (r row) appendSubmission(b []byte) []byte {
	if r.submission != nil {
		b = formats.AppendSubmission(b, r.submission)
	}
	return append(b, '\n')
}

var errContent = errors.New("what lies in quarantine is not in the form it should be in")

// parseContent reads what was sealed: rows, or a bundle.
func parseContent(b []byte) (rows []row, bundle []byte, err error) {
	head, rest, ok := bytes.Cut(b, []byte("\n"))
	if ok && string(head) == contentBundle {
		return nil, rest, nil
	}
	count, isRows := strings.CutPrefix(string(head), contentRows)
	n, err := strconv.Atoi(count)
	if !ok || !isRows || err != nil || n < 0 || 2*n != bytes.Count(rest, []byte("\n")) {
		return nil, nil, errContent
	}
	rows = make([]row, n)
	for i := range rows {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(line) == 0 {
			continue
		}
		v, err := formats.ParseVerdict(line)
		if err != nil {
			return nil, nil, errContent
		}
		rows[i].verdict = &v
	}
	for item, err := range formats.ReadNDJSON(bytes.NewReader(rest)) {
		if err != nil || item.Line > n {
			return nil, nil, errContent
		}
		rows[item.Line-1].submission = item.Submission // none that this version would refuse to read
	}
	return rows, nil, nil
}

// submissions returns those that are kept, and in which rows they stand.
func submissions(rows []row) (kept []domain.Submission, places []int) {
	for i, r := range rows {
		if r.submission != nil {
			kept, places = append(kept, r.submission), append(places, i)
		}
	}
	return kept, places
}

// codesOf counts the rows by the code they were refused with.
func codesOf(rows []row) map[domain.Code]int {
	var codes map[domain.Code]int
	for _, r := range rows {
		if r.verdict == nil || r.verdict.Reject == nil {
			continue
		}
		if codes == nil {
			codes = make(map[domain.Code]int)
		}
		codes[r.verdict.Reject.Code]++
	}
	return codes
}

// split cuts rows into runs that each fit into one message.
func split(rows []row, most int) (runs [][]row) {
	start, size := 0, 0
	for i, r := range rows {
		n := len(r.appendSubmission(r.appendVerdict(nil)))
		if size+n > most && i > start {
			runs, start, size = append(runs, rows[start:i]), i, 0
		}
		size += n
	}
	return append(runs, rows[start:])
}

// The headers of a message in quarantine, besides [HeaderCode] and [HeaderBundle].
const (
	headerFrom  = "Bahi-From"  // the centre's district
	headerCodes = "Bahi-Codes" // code=count, with spaces between
	headerRows  = "Bahi-Rows"
	headerKept  = "Bahi-Kept"
	headerTries = "Bahi-Tries"
	headerSince = "Bahi-Since"
)

func formatCodes(codes map[domain.Code]int) string {
	var b strings.Builder
	for _, code := range sortedKeys(codes) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%d", code, codes[code])
	}
	return b.String()
}

func parseCodes(s string) map[domain.Code]int {
	var codes map[domain.Code]int
	for pair := range strings.FieldsSeq(s) {
		code, count, _ := strings.Cut(pair, "=")
		if n, err := strconv.Atoi(count); err == nil {
			if codes == nil {
				codes = make(map[domain.Code]int)
			}
			codes[domain.Code(code)] = n
		}
	}
	return codes
}
