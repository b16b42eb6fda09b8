package eventstore

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"bahi/eventstore/wire"
)

// BenchmarkCodec compares the two protobuf runtimes on a bundle of 500 events
// and shows what the whole codec costs on top of the faster one.
func BenchmarkCodec(b *testing.B) {
	const entries = 500
	c := bundle(1, entries)
	data, err := Encode(c)
	if err != nil {
		b.Fatal(err)
	}
	var message wire.Commit
	if err := proto.Unmarshal(data, &message); err != nil {
		b.Fatal(err)
	}
	for _, run := range []struct {
		name string
		f    func() error
	}{
		{"marshal/standard", func() error { _, err := proto.Marshal(&message); return err }},
		{"marshal/vtprotobuf", func() error { _, err := message.MarshalVT(); return err }},
		{"marshal/Encode", func() error { _, err := Encode(c); return err }},
		{"unmarshal/standard", func() error { var m wire.Commit; return proto.Unmarshal(data, &m) }},
		{"unmarshal/vtprotobuf", func() error { var m wire.Commit; return m.UnmarshalVTUnsafe(data) }},
		{"unmarshal/Decode", func() error { _, err := Decode(data); return err }},
	} {
		b.Run(run.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := run.f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(len(data))/entries, "B/event")
		})
	}
}
