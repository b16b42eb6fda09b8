// Package bench measures Bahi beside what it stands on, in the same run on the
// same machine: appending beside raw JetStream with the same messages and the same
// flush to disk, folding beside raw JetStream that delivers and raw Pebble that takes
// rows, asking beside one row read and one message flushed. Machines differ and are
// noisy; a ratio within one run is what carries over.
//
// Whatever is submitted is made when it is its turn, latencies are counted in
// histograms of a fixed size, and limits are measured with a bounded number of
// messages: the memory of a measure is the memory of what it measures, however many
// events it is asked for.
package bench
