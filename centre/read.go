package centre

import (
	"io"
	"iter"
	"time"

	"bahi/formats"
)

// read reads submissions in any format; 0 is found by content. What a foreign
// record leaves unsaid is the centre's own, and of the time at.
func (c Config) read(r io.Reader, format formats.Format, at time.Time) (iter.Seq2[formats.Item, error], error) {
	return formats.Read(r, formats.Options{District: c.District, Centre: c.Centre, At: at, Format: format})
}
