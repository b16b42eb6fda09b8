// Package synth makes submissions that reproduce real public counters: people
// who do not exist, and the registrations, doses and withdrawals by which a
// district's published figures come about, day by day, also on the days on which
// they fall.
//
// [ReadCounts] reads a file of counters, either daily and cumulative or weekly
// differences. A plan turns them into numbers of events a day, and looks for
// second doses that nobody in the district can have been due for under the rules
// in force: those go to people registered and first vaccinated elsewhere, as few
// as possible. Then the plan is carried out person by person and written as
// NDJSON in order of time.
//
// Adults are made, of the five groups open to them by the middle of 2021, with
// Covishield and Covaxin, the two vaccines that the counters tell apart.
//
// A person is a function of seed, district and number, so that nothing is kept
// but four bytes for each one who waits for something. The same seed gives the
// same bytes.
//
// Nobody here is real: names are drawn from lists of common ones, and Aadhaar
// numbers begin with 1, which none that was issued does. India reserves no
// mobile numbers for fiction; the ones here are arbitrary and not to be called.
package synth
