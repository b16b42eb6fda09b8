package synth

import "bahi/domain"

// Both gives every submission as a line and as a value.
func Both(c Counters, o Options, do func(line []byte, s domain.Submission)) error {
	r, err := prepare(c, o)
	if err != nil {
		return err
	}
	for day := driveBegins; day <= r.summary.Last; day++ {
		err := r.day(day, func(w *writer, o op, second int) error {
			do(w.appendLine(nil, o, second), w.submission(o, second))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
