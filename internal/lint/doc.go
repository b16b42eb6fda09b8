// Package lint holds the rules of the house that a compiler does not check, as
// tests: which room may import which, that nobody adds a room for odds and ends,
// and that what is generated or quoted is current.
package lint
