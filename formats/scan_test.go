package formats

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// nesting is how deep the objects and arrays of valid JSON nest.
func nesting(b []byte) (deepest int) {
	depth := 0
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		tok, err := d.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// FuzzScanner holds the scanner against encoding/json: they agree on what is
// JSON, on the names and order of members, and on text.
func FuzzScanner(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	for _, s := range []string{
		`{}`, ` { } `, `{"a":[1,-0.5e+7,true,false,null,{"b":"\u00e9\ud83d\ude00\n"}]}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":"\x"}`,
		`{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"\udc00":1}`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":[}`, `{"a":tru}`, "{\"a\":\"\t\"}", `{"a":nulll}`,
		"{\"a\":1}\v", "{\"a\"\r:\n1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ToValidUTF8(line, "") != line {
			t.Skip("the scanner is given UTF-8 only")
		}
		isObject := json.Valid([]byte(line)) && strings.HasPrefix(strings.TrimLeft(line, " \t\r\n"), "{")
		if isObject && nesting([]byte(line)) > maxDepth {
			t.Skip("deeper than the scanner goes")
		}
		var names []string
		last := map[string]value{}
		s := scanner{line: line}
		s.space()
		ok := s.object(0, func(name string, v value) bool {
			names = append(names, name)
			last[name] = v
			return true
		})
		s.space()
		if ok = ok && s.at == len(line); ok != isObject {
			t.Fatalf("scanner says %v, encoding/json %v", ok, isObject)
		}
		if !ok {
			return
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(line), &want); err != nil {
			return // a number beyond float64
		}
		for name, v := range last {
			w, there := want[name]
			if !there {
				if strings.ContainsRune(name, '\uFFFD') {
					continue // halves of surrogate pairs, each in its own way
				}
				t.Fatalf("encoding/json has no member %q", name)
			}
			text, isText := w.(string)
			got, gotText := v.unquoted()
			if gotText && (!isText || got != text) {
				t.Fatalf("%q read as %q, encoding/json has %q", v.text, got, text)
			}
			if isText && !gotText && !strings.ContainsRune(text, '\uFFFD') {
				t.Fatalf("%q is text", v.text)
			}
		}
		for name := range want {
			if _, there := last[name]; !there && !strings.ContainsRune(name, '\uFFFD') {
				t.Fatalf("the scanner missed %q among %q", name, names)
			}
		}
	})
}
