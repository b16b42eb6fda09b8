package formats

import (
	"bufio"
	"bytes"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// decoded returns the text of r in UTF-8 and without a byte order mark. What
// spreadsheets and Windows programs write as "Unicode", UTF-16 of either order,
// is told by its mark, or by the zero byte beside its first character, which
// every format has from ASCII. Half a surrogate pair becomes U+FFFD, which no
// value may hold.
//
// Lines stay the same lines. Any other encoding passes through: its first byte
// that is not UTF-8 is for the reader of the record to refuse.
func decoded(r io.Reader) io.Reader {
	in := bufio.NewReaderSize(r, 64<<10)
	start, _ := in.Peek(len(byteOrderMark)) // a failure comes again, from the reader
	switch {
	case bytes.Equal(start, byteOrderMark):
		_, _ = in.Discard(len(byteOrderMark)) // what was peeked is there
		return in
	case len(start) < 2:
		return in
	case start[0] == 0xFF && start[1] == 0xFE, start[0] != 0 && start[1] == 0:
		return fromUTF16(in, unicode.LittleEndian)
	case start[0] == 0xFE && start[1] == 0xFF, start[0] == 0 && start[1] != 0:
		return fromUTF16(in, unicode.BigEndian)
	}
	return in
}

func fromUTF16(r io.Reader, order unicode.Endianness) io.Reader {
	return transform.NewReader(r, unicode.UTF16(order, unicode.UseBOM).NewDecoder())
}
