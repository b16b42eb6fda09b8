package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// split lists what a splitter makes of an input: a record by its line and text,
// another by its line and code.
func split(t *testing.T, r io.Reader) []string {
	t.Helper()
	var got []string
	for rec, err := range records(r, "entry", func(text string, _ bool) bool { return strings.HasPrefix(text, `{"rec"`) }) {
		switch {
		case err != nil:
			t.Fatal(err)
		case rec.reject != nil:
			got = append(got, fmt.Sprintf("%d %s", rec.line, rec.reject.Code))
		case rec.closes:
			got = append(got, fmt.Sprintf("%d closes %d %s", rec.line, rec.list, rec.text))
		case rec.list > 0:
			got = append(got, fmt.Sprintf("%d in %d %s", rec.line, rec.list, rec.text))
		default:
			got = append(got, fmt.Sprintf("%d %s", rec.line, rec.text))
		}
	}
	return got
}

func TestSplit(t *testing.T) {
	t.Parallel()
	long := `{"rec":"` + strings.Repeat("x", MaxRecord) + `"}`
	for _, c := range []struct {
		name, input string
		want        []string
	}{
		{"nothing", "", nil},
		{"blank", " \r\n\n", nil},
		{"an empty list", "[]", nil},
		{"one object", `{"rec":1}`, []string{`1 {"rec":1}`}},
		{"one over many lines", "\n{\n  \"rec\": 1\n}\n", []string{"2 {\n  \"rec\": 1\n}"}},
		{"a line each", "{\"rec\":1}\r\n{\"rec\":2}\n\n{\"rec\":3}", []string{`1 {"rec":1}`, `2 {"rec":2}`, `4 {"rec":3}`}},
		{"one after another", `{"rec":1}{"rec":2} {"rec":3}`, []string{`1 {"rec":1}`, `1 {"rec":2}`, `1 {"rec":3}`}},
		{"a list", "[{\"rec\":1},\n{\"rec\":2}\n]", []string{`1 {"rec":1}`, `2 {"rec":2}`}},
		{"braces and quotes in text", `[{"rec":"}{\"]["},{"rec":2}]`, []string{`1 {"rec":"}{\"]["}`, `1 {"rec":2}`}},
		{"byte order mark", "\xEF\xBB\xBF[{\"rec\":1}]", []string{`1 {"rec":1}`}},
		{"UTF-16, little end first", "\xFF\xFE{\x00\"\x00\x28\x09\"\x00:\x001\x00}\x00", []string{`1 {"न":1}`}},
		{"UTF-16 without a mark", "\x00{\x00\"\x00r\x00\"\x00:\x001\x00}", []string{`1 {"r":1}`}},
		{"a list of its own", `{"resourceType":"Bundle","entry":[{"rec":1},{"rec":2}],"total":2}`,
			[]string{`1 in 1 {"rec":1}`, `1 in 1 {"rec":2}`, `1 closes 1 {"resourceType":"Bundle","entry":[],"total":2}`}},
		{"two lists in a list", "[{\"entry\":[{\"rec\":1}]},\n{\"entry\":[ ]},{\"rec\":3}]",
			[]string{`1 in 1 {"rec":1}`, `1 closes 1 {"entry":[]}`, `2 closes 2 {"entry":[]}`, `2 {"rec":3}`}},
		{"entries of something else", `{"resourceType":"List","entry":[{"rec":1}]}`, []string{`1 {"resourceType":"List","entry":[{"rec":1}]}`}},

		{"not UTF-8", "{\"rec\":\"\xff\"}\n{\"rec\":2}", []string{"1 bad_json", `2 {"rec":2}`}},
		{"text", "hello\n{\"rec\":2}", []string{"1 bad_json", `2 {"rec":2}`}},
		{"text, twice", "hello\nhello\n{\"rec\":2}", []string{"1 bad_json", "2 bad_json", `3 {"rec":2}`}},
		{"text, then an object that looks like none", "hello\n{\"x\":2}", []string{"1 bad_json", `2 {"x":2}`}},
		{"numbers", "[1,2,{\"rec\":2}]", []string{"1 bad_json", "1 bad_json", `1 {"rec":2}`}},
		{"values of all kinds", `[null,"a]",{"x":1}, true ,-1.5e3,{"rec":2},0]`,
			[]string{"1 bad_json", "1 bad_json", `1 {"x":1}`, "1 bad_json", "1 bad_json", `1 {"rec":2}`, "1 bad_json"}},
		{"values in a list of its own", `{"entry":[null,[{"rec":1}],{"rec":2}],"total":2}`,
			[]string{"1 bad_json", "1 bad_json", `1 in 1 {"rec":2}`, `1 closes 1 {"entry":[],"total":2}`}},
		{"values that are none", `[1 2,"a"b,{"rec":2}]`, []string{"1 bad_json", `1 {"rec":2}`}},
		{"a number that is cut off", "[1,2", []string{"1 bad_json", "1 bad_json"}},
		{"cut off in a list", `[{"rec":1},`, []string{`1 {"rec":1}`, "1 bad_json"}},
		{"cut off in an object", "[{\"rec\":1},\n{\"rec\":", []string{`1 {"rec":1}`, "2 bad_json"}},
		{"cut off in a list of its own", "{\"entry\":[{\"rec\":1}", []string{`1 in 1 {"rec":1}`, "1 bad_json"}},
		{"a brace too many", "{\"rec\":1}}\n{\"rec\":2}", []string{`1 {"rec":1}`, "1 bad_json", `2 {"rec":2}`}},
		{"a brace too few, a line each", "{\"rec\":{\"a\":1}\n{\"rec\":2}\n{\"rec\":3}", []string{"1 bad_json", `2 {"rec":2}`, `3 {"rec":3}`}},
		{"a brace too few, all on a line", `[{"rec":{"a":1},{"rec":2},{"rec":3}]`, []string{"1 bad_json", `1 {"rec":2}`, `1 {"rec":3}`}},
		{"a quote too few", `[{"rec":"a,"b":"c","d":{"e":"f"}},{"rec":2},{"rec":3}]`, []string{"1 bad_json", `1 {"rec":2}`, `1 {"rec":3}`}},
		{"a quote too many", `[{"rec":"a"","b":"c","d":{"e":"f"}},{"rec":2},{"rec":3}]`, []string{"1 bad_json", `1 {"rec":2}`, `1 {"rec":3}`}},
		{"two broken ones, a line each", "{\"rec\":\n{\"rec\":\n{\"rec\":3}", []string{"1 bad_json", "2 bad_json", `3 {"rec":3}`}},
		{"a broken one over many lines", "[\n  {\n    \"a\": tru,\n    \"b\": [\n      {\n        \"c\": 1\n      }\n    ]\n  },\n  {\"rec\": 2},\n  {\"x\": 3}\n]",
			[]string{"2 bad_json", `10 {"rec": 2}`, `11 {"x": 3}`}},
		{"a broken one between others like this: }, {", "[{\n  \"x\": tru\n}, {\n  \"x\": 2\n}]", []string{"1 bad_json", "3 {\n  \"x\": 2\n}"}},
		{"a broken entry", "{\"entry\":[{\"rec\":1},{\"rec\":tru},{\"rec\":3}],\"total\":3}",
			[]string{`1 in 1 {"rec":1}`, "1 bad_json", `1 in 1 {"rec":3}`, `1 closes 1 {"entry":[],"total":3}`}},
		{"a broken entry at the end", "{\"entry\":[{\"rec\":1},{\"rec\":tru}]}\n{\"entry\":[{\"rec\":2}]}",
			[]string{`1 in 1 {"rec":1}`, "1 bad_json", `1 closes 1 {"entry":[]}`, `2 in 2 {"rec":2}`, `2 closes 2 {"entry":[]}`}},
		{"a broken end", "{\"entry\":[{\"rec\":1}],\"total\":tru}\n{\"rec\":2}", []string{`1 in 1 {"rec":1}`, "1 bad_json", `2 {"rec":2}`}},
		{"nested too deep", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + "\n{\"rec\":2}", []string{"1 bad_json", `2 {"rec":2}`}},
		{"too long", "[" + long + ",{\"rec\":2}]", []string{"1 too_long", `1 {"rec":2}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.input), iotest.HalfReader(strings.NewReader(c.input)), iotest.DataErrReader(strings.NewReader(c.input))} {
				got := split(t, r)
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// A record is given when it is there: whoever waits for its verdict before
// sending the next gets it.
func TestSplitDoesNotWait(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	next := make(chan bool)
	go func() {
		for i := range 3 {
			fmt.Fprintf(out, "{\"rec\":%d}", i)
			<-next
		}
		out.Close()
	}()
	n := 0
	for rec, err := range records(in, "", nil) {
		if err != nil || rec.text != fmt.Sprintf(`{"rec":%d}`, n) {
			t.Fatal(rec, err)
		}
		n++
		next <- true
	}
	if n != 3 {
		t.Fatalf("%d records of 3", n)
	}
}

func TestSplitTellsOfAReaderThatFails(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"", "\n", `{"re`, `{"entry":[{"rec":1}`} {
		var got []record
		var failed error
		for rec, err := range records(io.MultiReader(strings.NewReader("{\"rec\":1}\n"+rest), iotest.ErrReader(io.ErrUnexpectedEOF)), "entry", nil) {
			if err != nil {
				failed = err
				continue
			}
			got = append(got, rec)
		}
		if !errors.Is(failed, io.ErrUnexpectedEOF) || !strings.HasPrefix(failed.Error(), "reading line ") {
			t.Errorf("%q: error %v", rest, failed)
		}
		for _, rec := range got {
			if rec.reject != nil {
				t.Errorf("%q: a record that was not read to its end is refused: %v", rest, rec.reject)
			}
		}
	}
}

var braceAlone = regexp.MustCompile(`\{[ \t\r]*\n`)

// FuzzSplit holds the splitter to what encoding/json makes of well-formed input,
// and to never losing what stands on a line of its own.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{`[{"rec":1},{"a":[{"b":"}"}]}]`, `{"rec":"a,"b":1}`, "{\n\"a\":[{\n}]}", `{"entry":[{},1,{}],"x":2}`, "[[{}]]]", "\xFF\xFE{\x00", `{"a":"{\"rec\":1}"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := split(t, strings.NewReader(s))
		var all []json.RawMessage
		if json.Unmarshal([]byte(s), &all) == nil && !strings.Contains(s, "entry") {
			within := slices.ContainsFunc(all, func(one json.RawMessage) bool { return bytes.HasPrefix(one, []byte("[")) })
			if n := len(all); !within && n != len(got) {
				t.Fatalf("%d records of %d: %q", len(got), n, got)
			}
		}
		// A record on a line of its own is found, whatever stands before it; but behind a
		// brace alone on its line, what is not indented further may be a part.
		if s != "" && !braceAlone.MatchString(s) && (s[0] == '{' || s[0] == 'x') && len(s) < MaxRecord/2 && !strings.Contains(s, "\x00") {
			got := split(t, strings.NewReader(s+"\n{\"rec\":\"last\"}"))
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, ` {"rec":"last"}`) }) {
				t.Fatalf("the last record is lost: %q", got)
			}
		}
	})
}

// What is broken from end to end takes its time, but not for ever: every byte may
// be the beginning of a record.
func BenchmarkSplitBroken(b *testing.B) {
	large := `{"rec":"` + strings.Repeat("x", MaxRecord/2) + `"}`
	for _, junk := range []string{"{", `{"`, `{"a":`, `{"a":[`, `{"a":{},`} {
		b.Run(junk, func(b *testing.B) {
			input := large + strings.Repeat(junk, (1<<20)/len(junk))
			b.SetBytes(int64(len(input)))
			for b.Loop() {
				for _, err := range records(strings.NewReader(input), "entry", isRecordOfFHIR) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	one := `{"rec":{"name":"Bhaya Mitra","dob":"1994-11-30","address":{"addressLine1":"444, 2nd Street","district":"Bengaluru"}},"vaccination":{"batch":"MB3428BX","date":"2020-12-02T19:21:18.646Z","dose":1,"name":"CoVax"}}`
	input := []byte("[" + strings.Repeat(one+",\n", 20_000) + one + "]")
	b.SetBytes(int64(len(input)))
	b.ReportAllocs()
	for b.Loop() {
		for rec, err := range records(bytes.NewReader(input), "", nil) {
			if err != nil || rec.reject != nil {
				b.Fatal(err, rec)
			}
		}
	}
}
