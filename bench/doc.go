// Package bench measures Bahi beside what it stands on, in the same run on the
// same machine: appending beside raw JetStream with the same messages and the
// same flush to disk, folding beside raw reading of the same stream. Machines
// differ and are noisy; a ratio within one run is what carries over.
package bench
