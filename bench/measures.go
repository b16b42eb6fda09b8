package bench

const (
	flushedOne  = "raw JetStream, one event a message from as many writers, fsynced"
	deliverSame = "raw JetStream, same messages delivered"
	deliverOne  = "raw JetStream, one event a message, delivered"
)

// measures are in the order in which they run. Their default numbers of events keep
// the whole under two minutes on two processors.
var measures = []measure{
	{name: "append_bundles", unit: "events", events: 150_000, begin: appendBundles, limit: "raw JetStream, same messages, fsynced"},
	{name: "append_singles", unit: "events", events: 40_000, begin: appendSingles(muzaffarpur), limit: flushedOne},
	{name: "append_singles_38", unit: "events", events: 20_000, begin: appendSingles(scattered), limit: flushedOne},
	{name: "http_singles_200", unit: "requests", events: 6_000, begin: httpSingles, limit: flushedOne},

	{name: "rebuild_counts", unit: "events", events: enough, begin: rebuild("counts", besideSingles), limit: deliverOne},
	{name: "rebuild_people", unit: "events", events: enough, begin: rebuild("people", besideRows), limit: "raw Pebble, same rows already in order, in tables that are ingested"},
	{name: "rebuild_merkle", unit: "events", events: enough, begin: rebuild("merkle", besideMessages), limit: deliverSame},
	{name: "verify", unit: "events", events: enough, begin: verify, limit: deliverSame},
	{name: "replay_commits", unit: "events", events: enough, begin: replayCommits, limit: deliverOne},

	{name: "counts_query", unit: "queries", events: 300_000, begin: countsQuery, limit: "raw Pebble, one row read, same load beside"},
	{name: "person_read", unit: "readings", events: 300_000, begin: personRead, limit: "raw JetStream, one message fsynced, same load beside"},

	{name: "freeze_34829", unit: "people", begin: freezeMuzaffarpur},
	{name: "freeze_refusal", unit: "people", events: 3 * frozenPeople, begin: freezeRefusal},
	{name: "rebuild_register", unit: "events", events: enough, begin: rebuild("register", besideMessages), limit: deliverSame, named: true},
	{name: "freeze", unit: "people", events: 3 * frozenPeople, begin: freezeAsMany, named: true},
	{name: "frozen_people", unit: "events", events: 3 * frozenPeople, begin: rebuildFrozen("people"), named: true},
	{name: "frozen_register", unit: "events", events: 3 * frozenPeople, begin: rebuildFrozen("register"), named: true},
}

// enough is how many events are read and folded, by default, of one ledger that
// several measures share.
const enough = 1_500_000
