// Package export writes replayed history down for analysts: as lines of JSON, as
// CSV, and as Parquet, with the same columns in all of them.
//
// A [Writer] writes one format to one place. [ToFile] gives a file its name only when
// it is whole, and [Resume] keeps beside it what it takes to go on with an export that
// was cut off. Memory is constant, whatever the ledger's size. The columns are
// documented in docs/EXPORTS.md.
package export
