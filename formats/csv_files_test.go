package formats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCSVFiles holds what becomes of every row of the files under testdata/csv to
// their golden files.
func TestCSVFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "csv", "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			input, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			o := csvOptions
			if filepath.Base(file) == "own.csv" {
				o = Options{} // the rows say everything themselves
			}
			var got strings.Builder
			for _, item := range readCSV(t, string(input), o) {
				got.WriteString(described(item) + "\n")
			}
			golden := strings.TrimSuffix(file, ".csv") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			lines, wanted := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
			if i := firstOther(lines, wanted); i < max(len(lines), len(wanted)) {
				t.Errorf("%s:%d: got %d lines, and in this place\n%s\nwant\n%s", golden, i+1, len(lines), lines[min(i, len(lines)-1)], wanted[min(i, len(wanted)-1)])
			}
		})
	}
}

// TestCSVOfTheDocument reads the example that docs/FORMATS.md gives.
func TestCSVOfTheDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join("..", "docs", "FORMATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(document), "```csv\n")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatal("the document has no example of CSV")
	}
	items := readCSV(t, example, Options{})
	if len(items) != 2 || items[0].Reject != nil || items[1].Reject != nil {
		t.Errorf("the example reads as %s", natives(items))
	}
}
