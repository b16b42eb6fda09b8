package eventstore

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bahi/domain"
	"bahi/eventstore/wire"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden file; only for a format that no ledger holds yet")

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Commit{
		"one of each": oneOfEach(),
		"a bundle":    bundle(1, 500),
		"bare":        {ID: [16]byte{1}, Entries: []Entry{{Recorded: time.UnixMilli(0).UTC(), Event: domain.PersonRegistered{}}}},
	} {
		data, err := Encode(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%s came back as\n%+v\nwant\n%+v", name, got, c)
		}
	}
}

// TestDecodeConcurrently: commits of all kinds, and bytes that are refused
// midway, do not disturb one another, whatever is appended to what they hold.
func TestDecodeConcurrently(t *testing.T) {
	t.Parallel()
	commits := []Commit{oneOfEach(), bundle(1, 40), bundle(2, 3), bundle(3, 100)}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			var decoded []Commit
			for i := range 100 {
				data, err := Encode(commits[(i+worker)%len(commits)])
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := Decode(bytes.Clone(data[:len(data)/2])); !errors.Is(err, ErrMalformed) {
					t.Errorf("half a commit: %v", err)
				}
				c, err := Decode(data)
				if err != nil {
					t.Error(err)
					return
				}
				decoded = append(decoded, c)
			}
			for i, c := range decoded {
				for _, e := range c.Entries {
					if e, ok := e.Event.(domain.PersonRegistered); ok {
						_ = append(e.Sealed, bytes.Repeat([]byte{1}, 500)...) // must not reach another event
					}
				}
				if !reflect.DeepEqual(c, commits[(i+worker)%len(commits)]) {
					t.Errorf("commit %d has changed since it was decoded", i)
				}
			}
		})
	}
	wg.Wait()
}

// TestGolden reads the bytes that the first version wrote. They stand in
// ledgers for decades: when this test fails, the code is wrong, not the file.
func TestGolden(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "commit.v1.bin")
	data, err := Encode(oneOfEach())
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Error("the encoding has changed")
	}
	c, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, oneOfEach()) {
		t.Error("what the first version wrote reads back differently")
	}
}

// TestEveryEvent holds the domain and the wire format together: every event
// that the format has is in the fixture, and every one of them has all its
// fields set there.
func TestEveryEvent(t *testing.T) {
	t.Parallel()
	data, err := Encode(oneOfEach())
	if err != nil {
		t.Fatal(err)
	}
	var message wire.Commit
	if err := proto.Unmarshal(data, &message); err != nil { // the standard runtime reads what vtprotobuf wrote
		t.Fatal(err)
	}
	last := message.Entries[len(message.Entries)-1].ProtoReflect()
	for i := range last.Descriptor().Fields().Len() {
		if f := last.Descriptor().Fields().Get(i); f.ContainingOneof() == nil && !last.Has(f) {
			t.Errorf("the fixture's last entry has no %s", f.Name())
		}
	}
	seen := map[protoreflect.FieldNumber]bool{}
	for _, e := range message.Entries {
		e.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if f.ContainingOneof() == nil {
				return true
			}
			seen[f.Number()] = true
			fields := v.Message().Descriptor().Fields()
			for i := range fields.Len() {
				if !v.Message().Has(fields.Get(i)) {
					t.Errorf("the fixture's %s has no %s", f.Name(), fields.Get(i).Name())
				}
			}
			return true
		})
	}
	events := (*wire.Entry)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range events.Len() {
		if f := events.Get(i); !seen[f.Number()] {
			t.Errorf("the fixture has no %s", f.Name())
		}
	}
	if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&message); err != nil || !bytes.Equal(again, data) {
		t.Errorf("the standard runtime writes other bytes (%v)", err)
	}
}

// TestEnumerations: the wire's numbers are the domain's, and both know the same
// ones.
func TestEnumerations(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		wire   protoreflect.EnumDescriptor
		domain func(uint8) string
	}{
		{wire.Group(0).Descriptor(), func(v uint8) string { return domain.Group(v).String() }},
		{wire.Sex(0).Descriptor(), func(v uint8) string { return domain.Sex(v).String() }},
		{wire.Vaccine(0).Descriptor(), func(v uint8) string { return domain.Vaccine(v).String() }},
		{wire.DoseNumber(0).Descriptor(), func(v uint8) string { return domain.DoseNumber(v).String() }},
		{wire.Status(0).Descriptor(), func(v uint8) string { return domain.Status(v).String() }},
		{wire.Reason(0).Descriptor(), func(v uint8) string { return domain.Reason(v).String() }},
		{wire.FreezeMode(0).Descriptor(), func(v uint8) string { return domain.FreezeMode(v).String() }},
	} {
		for v := range uint8(255) {
			inWire := e.wire.Values().ByNumber(protoreflect.EnumNumber(v)) != nil
			if inDomain := v == 0 || e.domain(v) != ""; inWire != inDomain {
				t.Errorf("%s %d: wire has it: %t, domain has it: %t", e.wire.Name(), v, inWire, inDomain)
			}
		}
	}
	// What convert.go takes for the highest value is the highest.
	for _, highest := range []protoreflect.Enum{highestGroup, highestSex, highestVaccine, highestDoseNumber, highestStatus, highestReason, highestFreezeMode} {
		if n := highest.Descriptor().Values().Len(); int(highest.Number()) != n-1 {
			t.Errorf("the highest %s is %d, convert.go says %d", highest.Descriptor().Name(), n-1, highest.Number())
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	// change returns the fixture's first entry after a change to its message.
	change := func(f func(*wire.Commit)) []byte {
		data, err := Encode(Commit{ID: [16]byte{1}, District: 208, Entries: oneOfEach().Entries[:1]})
		if err != nil {
			t.Fatal(err)
		}
		var m wire.Commit
		if err := m.UnmarshalVTUnsafe(data); err != nil {
			t.Fatal(err)
		}
		f(&m)
		data, err = m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	registered := func(m *wire.Commit) *wire.PersonRegistered { return m.Entries[0].GetPersonRegistered() }
	unknownField := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	unknown := func(m proto.Message) { m.ProtoReflect().SetUnknown(unknownField) }
	whole := change(func(*wire.Commit) {})

	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                          {nil, ErrMalformed},
		"garbage":                          {[]byte("hello, ledger"), ErrMalformed},
		"cut short":                        {whole[:len(whole)-1], ErrMalformed},
		"a number written long":            {append(whole[:len(whole):len(whole)], 0x10, 0xd0, 0x01), ErrMalformed},
		"no id":                            {change(func(m *wire.Commit) { m.Id = nil }), ErrMalformed},
		"no entries":                       {change(func(m *wire.Commit) { m.Entries = nil }), ErrMalformed},
		"a district beyond 65535":          {change(func(m *wire.Commit) { m.District = 1 << 16 }), ErrMalformed},
		"recorded in the year 10000":       {change(func(m *wire.Commit) { m.RecordedMs = maxRecordedMs + 1 }), ErrMalformed},
		"first entry with a delta":         {change(func(m *wire.Commit) { m.Entries[0].RecordedDeltaMs = 1 }), ErrMalformed},
		"short submission":                 {change(func(m *wire.Commit) { m.Entries[0].Submission = []byte{1} }), ErrMalformed},
		"issued beyond a byte":             {change(func(m *wire.Commit) { m.Entries[0].Issued = 256 }), ErrMalformed},
		"no event":                         {change(func(m *wire.Commit) { m.Entries[0].Event = nil }), ErrMalformed},
		"no person":                        {change(func(m *wire.Commit) { registered(m).Person = nil }), ErrMalformed},
		"long person":                      {change(func(m *wire.Commit) { registered(m).Person = make([]byte, 17) }), ErrMalformed},
		"a generation beyond 65535":        {change(func(m *wire.Commit) { registered(m).Generation = 1 << 16 }), ErrMalformed},
		"two events in one entry":          {twoEvents(t), ErrMalformed},
		"a group to come":                  {change(func(m *wire.Commit) { registered(m).Group = 8 }), ErrNewer},
		"a negative sex":                   {change(func(m *wire.Commit) { registered(m).Sex = -1 }), ErrNewer},
		"an event to come":                 {change(func(m *wire.Commit) { m.Entries[0].Event = nil; unknown(m.Entries[0]) }), ErrNewer},
		"a field to come of the commit":    {change(func(m *wire.Commit) { unknown(m) }), ErrNewer},
		"a field to come of an event":      {change(func(m *wire.Commit) { unknown(registered(m)) }), ErrNewer},
		"a field to come within an event":  {newerWithin(t, unknownField), ErrNewer},
		"a field to come beside the event": {change(func(m *wire.Commit) { unknown(m.Entries[0]) }), ErrNewer},
	} {
		_, err := Decode(test.data)
		var decodeError *DecodeError
		if !errors.Is(err, test.want) || !errors.As(err, &decodeError) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// twoEvents returns a commit whose entry holds a dose after a registration. A
// protobuf reader keeps the last, so the first would silently not count.
func twoEvents(t *testing.T) []byte {
	t.Helper()
	all := oneOfEach().Entries
	var inner []byte
	d := new(desk)
	d.lay(all[:2])
	for _, e := range all[:2] {
		var w wire.Entry
		if err := toWire(&w, e.Event, d); err != nil {
			t.Fatal(err)
		}
		b, err := w.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		inner = append(inner, b...)
	}
	m := wire.Commit{Id: make([]byte, 16), District: 208}
	data, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	data = protowire.AppendTag(data, 4, protowire.BytesType)
	return protowire.AppendBytes(data, inner)
}

// TestDecodeLosesNothing: two events in an entry are refused, too, when the bytes that
// would be lost with the first are made up for elsewhere.
func TestDecodeLosesNothing(t *testing.T) {
	t.Parallel()
	two := twoEvents(t)
	for saved := range len(two) {
		if _, err := Decode(slices.Concat(two, unpacked(saved))); !errors.Is(err, ErrMalformed) {
			t.Errorf("with %d bytes saved: %v", saved, err)
		}
	}
}

// unpacked returns entries that are written in one byte less each than they should be:
// freezes of one group, which is not packed.
func unpacked(entries int) []byte {
	freeze := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), make([]byte, 16))
	freeze = protowire.AppendVarint(protowire.AppendTag(freeze, 3, protowire.VarintType), 1)
	entry := protowire.AppendBytes(protowire.AppendTag(nil, 17, protowire.BytesType), freeze)
	return bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), entry), entries)
}

// newerWithin returns a commit in which a dose taken back has an unknown field.
func newerWithin(t *testing.T, field []byte) []byte {
	t.Helper()
	data, err := Encode(oneOfEach())
	if err != nil {
		t.Fatal(err)
	}
	var m wire.Commit
	if err := proto.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Entries {
		if d := e.GetReversalDecided(); d != nil {
			d.TakenBack[0].ProtoReflect().SetUnknown(field)
		}
	}
	if data, err = m.MarshalVT(); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	one := func(e domain.Event) Commit { return Commit{Entries: []Entry{{Event: e, Recorded: time.UnixMilli(1)}}} }
	backwards := bundle(1, 2)
	backwards.Entries[1].Recorded = backwards.Entries[0].Recorded.Add(-time.Millisecond)
	for name, c := range map[string]Commit{
		"no entries":        {},
		"time backwards":    backwards,
		"no event":          one(nil),
		"no such group":     one(domain.PersonRegistered{Cohort: domain.Cohort{Group: 99}}),
		"no such dose":      one(domain.DoseAdministered{Dose: domain.Dose{Number: 5}}),
		"dose with commit":  one(domain.DoseAdministered{Dose: domain.Dose{Commit: 1}}),
		"not UTF-8":         one(domain.HolderEnrolled{Holder: "\xff"}),
		"taken with commit": one(domain.ReversalDecided{TakenBack: []domain.Dose{{Commit: 1}}}),
		"year 10000":        {Entries: []Entry{{Event: domain.HolderEnrolled{}, Recorded: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	} {
		if _, err := Encode(c); err == nil || errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := Encode(one(domain.PersonRegistered{Sealed: make([]byte, MaxCommitSize)}))
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "split") {
		t.Errorf("too large: got %v", err)
	}
}
