package formats

import (
	"bufio"
	"strings"

	"bahi/domain"
)

// packed are files that are sent instead of the text in them, by how they begin. No
// text does: each has a byte that none of the formats, in any encoding that is read,
// can have in that place.
var packed = []struct {
	begins string
	what   *reason
}{
	{"PK\x03\x04", &reason{domain.CodeNotSupported, "this is a workbook of a spreadsheet (.xlsx, .ods) or another zip archive; save the sheet as CSV UTF-8, or unpack the archive, and send that"}},
	{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", &reason{domain.CodeNotSupported, "this is a workbook of a spreadsheet (.xls); save the sheet as CSV UTF-8, and send that"}},
	{"\x1F\x8B\x08", &reason{domain.CodeNotSupported, "this is compressed with gzip; unpack it, and send what is in it"}},
}

// findPacked returns, of an input that is no text, the one item that there is.
func findPacked(in *bufio.Reader) (Item, bool) {
	for _, p := range packed {
		if begins(in, p.begins) {
			return Item{Line: 1, Reject: p.what.about(""), Foreign: true}, true
		}
	}
	return Item{}, false
}

// begins tells whether an input begins so. It waits for no more of it than shows that it
// does not: whoever sends a line may be waiting for its verdict.
func begins(in *bufio.Reader, with string) bool {
	for n := 1; n <= len(with); n++ {
		start, _ := in.Peek(n) // a failure comes again, from the reader
		if len(start) < n || !strings.HasPrefix(with, string(start)) {
			return false
		}
	}
	return true
}
