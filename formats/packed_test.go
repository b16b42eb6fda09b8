package formats

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"bahi/domain"
)

// TestPackedFiles reads files that are not the text but have it in them. Each is one
// item that says what to do, whichever format is named for it.
func TestPackedFiles(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(samples[0]+"\n", 3)
	var archive, compressed bytes.Buffer
	workbook := zip.NewWriter(&archive)
	sheet, err := workbook.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		t.Fatal(err)
	}
	packer := gzip.NewWriter(&compressed)
	for write, closing := range map[interface{ Write([]byte) (int, error) }]func() error{sheet: workbook.Close, packer: packer.Close} {
		if _, err := write.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := closing(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, input, says string }{
		{"a workbook", archive.String(), "save the sheet as CSV UTF-8"},
		{"an old workbook", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + strings.Repeat("\x00", 500), "save the sheet as CSV UTF-8"},
		{"gzip", compressed.String(), "unpack it"},
	} {
		for _, format := range []Format{0, NDJSON, CSV, DIVOC, FHIR, CoWIN} {
			items, err := Read(iotest.OneByteReader(strings.NewReader(c.input)), Options{Format: format})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for i, err := range items {
				n++
				if err != nil || i.Reject == nil || i.Reject.Code != domain.CodeNotSupported || i.Line != 1 || !strings.Contains(i.Reject.Message, c.says) {
					t.Errorf("%s, read as %q: %+v %v, %v", c.name, format, i, i.Reject, err)
				}
			}
			if n != 1 {
				t.Errorf("%s, read as %q, is %d items", c.name, format, n)
			}
		}
		n := 0
		for i := range ReadNDJSONNaming(strings.NewReader(c.input), func(int) domain.UUID { return domain.UUID{1} }) {
			if n++; i.Reject == nil || i.Reject.Code != domain.CodeNotSupported {
				t.Errorf("%s as native lines: %+v", c.name, i)
			}
		}
		if n != 1 {
			t.Errorf("%s as native lines is %d items", c.name, n)
		}
	}
	for _, text := range []string{"PK", "PK,id\n", "\x1F\n", samples[0]} {
		items, err := Read(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range items {
			if i.Reject != nil && i.Reject.Code == domain.CodeNotSupported {
				t.Errorf("%.10q counts as packed", text)
			}
		}
	}
}

// TestNothingIsWaitedFor: a line is answered before the next one comes, however short.
func TestNothingIsWaitedFor(t *testing.T) {
	t.Parallel()
	lines, sender := io.Pipe()
	defer sender.Close()
	go sender.Write([]byte("{}\n"))
	waiting := time.AfterFunc(30*time.Second, func() { lines.Close() })
	items, err := Read(lines, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range items {
		if !waiting.Stop() || err != nil || i.Line != 1 || i.Reject == nil {
			t.Errorf("more is waited for, or it is not read: %+v, %v", i, err)
		}
		break
	}
}
