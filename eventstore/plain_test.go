package eventstore

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// What Encode writes is read plainly, whatever the event: the longer way round costs
// five times as much.
func TestDecodePlain(t *testing.T) {
	t.Parallel()
	for _, c := range []Commit{oneOfEach(), bundle(1, 500)} {
		data, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if plainly, ok := decodePlain(data); !ok || !reflect.DeepEqual(plainly, c) {
			t.Errorf("%d entries: read plainly: %v", len(c.Entries), ok)
		}
	}
}

// checkDecode fails unless data are refused, or are what Encode makes of what they are
// taken for: so that nothing in them is passed over. Both readers understand the same.
func checkDecode(t *testing.T, data []byte) (ok bool) {
	t.Helper()
	c, ok := decodePlain(bytes.Clone(data))
	any, err := decodeAny(bytes.Clone(data))
	if ok != (err == nil) || ok && !reflect.DeepEqual(c, any) {
		t.Fatalf("%x is read plainly (%v) as\n%+v\nand otherwise (%v) as\n%+v", data, ok, c, err, any)
	}
	if !ok {
		if !errors.Is(err, ErrNewer) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return false
	}
	if again, err := Encode(c); !bytes.Equal(again, data) && !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%x was read, %x is written (%v)", data, again, err)
	}
	return true
}

// FuzzDecode: no input panics, and checkDecode holds.
func FuzzDecode(f *testing.F) {
	for _, data := range written(f) {
		f.Add(data)
	}
	f.Add([]byte("hello, ledger"))
	f.Fuzz(func(t *testing.T, data []byte) { checkDecode(t, data) })
}

// TestDecodeChanged: checkDecode holds for commits of which some fields are written in
// another order, twice, not at all, in more bytes, with another number or value.
func TestDecodeChanged(t *testing.T) {
	t.Parallel()
	commits, chance, read := written(t), rand.New(rand.NewPCG(8, 9)), 0
	const changes = 30_000
	for n := range changes {
		data := commits[n%len(commits)]
		for range 1 + chance.IntN(3) {
			data = change(chance, data)
		}
		if checkDecode(t, data) {
			read++
		}
	}
	if read < changes/50 || read > changes/2 {
		t.Errorf("%d of %d changed commits are still commits", read, changes)
	}
}

// written returns commits as Encode writes them: a few together, and every event alone.
func written(t testing.TB) (all [][]byte) {
	t.Helper()
	c := oneOfEach()
	commits := []Commit{c, bundle(1, 3)}
	for i := range c.Entries {
		commits = append(commits, Commit{ID: c.ID, District: c.District, Entries: c.Entries[i : i+1]})
	}
	for _, c := range commits {
		data, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// change changes a field of a message, or of one within. What is no message is one
// field.
func change(chance *rand.Rand, message []byte) []byte {
	var fields [][]byte
	for rest := message; len(rest) > 0; {
		_, _, size := protowire.ConsumeField(rest)
		if size < 0 {
			size = len(rest)
		}
		fields, rest = append(fields, rest[:size:size]), rest[size:]
	}
	if len(fields) == 0 {
		return []byte{8, 1}
	}
	values := []uint64{0, 1, 3, 7, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, math.MaxInt64, math.MaxUint64, maxRecordedMs + 1}
	one, another := chance.IntN(len(fields)), chance.IntN(len(fields))
	number, kind, size := protowire.ConsumeTag(fields[one])
	if size < 0 {
		return message[:len(message)-1]
	}
	value := fields[one][size:]
	switch chance.IntN(10) {
	case 0:
		fields[one], fields[another] = fields[another], fields[one]
	case 1:
		fields = slices.Insert(fields, another, fields[one])
	case 2:
		fields = slices.Delete(fields, one, one+1)
	case 3: // its tag in one byte more
		fields[one] = slices.Concat(longer(fields[one][:size]), value)
	case 4:
		fields[one] = slices.Concat(fields[one][:size], longer(value))
	case 5:
		fields[one] = append(protowire.AppendTag(nil, protowire.Number(1+chance.IntN(26)), kind), value...)
	case 6:
		fields[one] = protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), values[chance.IntN(len(values))])
	case 7: // ten bytes, and some bits too many
		fields[one] = append(protowire.AppendTag(nil, number, protowire.VarintType), append(bytes.Repeat([]byte{0xff}, 9), byte(chance.IntN(128)))...)
	default:
		if within, n := protowire.ConsumeBytes(value); kind == protowire.BytesType && n > 0 {
			fields[one] = protowire.AppendBytes(protowire.AppendTag(nil, number, kind), change(chance, within))
		}
	}
	return slices.Concat(fields...)
}

// longer returns what begins with a number in one byte more than it needs.
func longer(b []byte) []byte {
	n, size := protowire.ConsumeVarint(b)
	if size < 0 {
		return b
	}
	long := protowire.AppendVarint(nil, n)
	long[len(long)-1] |= 0x80
	return slices.Concat(long, []byte{0}, b[size:])
}
