package synth

import (
	"bahi/domain"
)

// people are the inhabitants of a district, and visitors to it: functions of
// seed, district and number.
type people struct {
	seed      uint64
	place     place
	elsewhere place                                 // where visitors are registered
	group     func(domain.Day, uint32) domain.Group // on the day of registration; nil for what was usual
	marks     []mark                                // by number; shorter where nothing is fixed
}

// What a hash is for.
const (
	forSex uint64 = iota + 1
	forGroup
	forAge
	forName
	forFamily
	forHousehold
	forMobile
	forPhotoID
	forCentre
	forID
	forDuplicate
)

func (p *people) hash(purpose uint64, n uint32) uint64 {
	return hash(p.seed, uint64(p.place.district)<<8|purpose, uint64(n))
}

// original returns the number of the person whose particulars this one bears: a
// duplicate those of somebody entered not long before, everybody else their own.
func (p *people) original(n uint32) uint32 {
	if n == 0 || int(n) >= len(p.marks) || p.marks[n]&markDuplicate == 0 {
		return n
	}
	at := n - 1 - uint32(p.hash(forDuplicate, n)%uint64(min(n, 8192)))
	for range 1024 {
		if p.marks[at]&markDuplicate == 0 {
			return at
		}
		if at == 0 {
			break
		}
		at--
	}
	return n
}

func (p *people) settled(n uint32) bool { return int(n) < len(p.marks) && p.marks[n]&markSex != 0 }

// sex returns the settled sex of the person, or else one by chance.
func (p *people) sex(n uint32) domain.Sex {
	n = p.original(n)
	if p.settled(n) {
		return domain.Sex(p.marks[n] & markSex)
	}
	switch chance := p.hash(forSex, n) % 10000; {
	case chance == 0:
		return domain.Transgender
	case chance < 4800:
		return domain.Female
	}
	return domain.Male
}

// newcomers says of which groups people came to register from a day on, in
// percent. Nobody comes before the drive is open to their group.
var newcomers = []struct {
	from   domain.Day
	shares [7]uint8 // in order of domain.Groups
}{
	{domain.Date(2021, 1, 16), [7]uint8{100}},
	{domain.Date(2021, 2, 2), [7]uint8{48, 52}},
	{domain.Date(2021, 3, 1), [7]uint8{3, 5, 60, 32}},
	{domain.Date(2021, 4, 1), [7]uint8{1, 2, 42, 55}},
	{domain.Date(2021, 5, 1), [7]uint8{1, 1, 16, 26, 56}},
	{domain.Date(2021, 7, 1), [7]uint8{0, 1, 10, 19, 70}},
}

func (p *people) groupOn(day domain.Day, n uint32) domain.Group {
	if p.group != nil {
		return p.group(day, n)
	}
	row := len(newcomers) - 1
	for newcomers[row].from > day {
		row--
	}
	chance := uint8(p.hash(forGroup, p.original(n)) % 100)
	for i, s := range newcomers[row].shares {
		if chance < s {
			return domain.Group(i + 1)
		}
		chance -= s
	}
	return domain.HealthCareWorker
}

// birthYear returns a year of birth that fits the group, whose ages are reckoned
// as on 1 January 2022. Of the old there are fewer the older they are.
func (p *people) birthYear(g domain.Group, n uint32) int {
	chance := p.hash(forAge, p.original(n))
	least, greatest := g.Ages()
	switch g {
	case domain.HealthCareWorker, domain.FrontLineWorker:
		least, greatest = 20, 59
	case domain.Age60Plus:
		return 2022 - least - int(min(chance%38, chance>>32%38))
	}
	return 2022 - least - int(chance%uint64(greatest-least+1))
}

// Families register together and share a mobile number, at most four on one.
// Every twelve neighbouring numbers fall into families in one of these ways.
var households = [...][]uint32{
	{1, 2, 1, 1, 3, 1, 2, 1},
	{4, 1, 2, 1, 3, 1},
	{2, 1, 1, 4, 1, 2, 1},
	{1, 3, 2, 1, 1, 4},
	{1, 1, 1, 2, 1, 1, 1, 1, 2, 1},
}

// family returns the number of the first of the person's family, which names it.
func (p *people) family(n uint32) uint32 {
	block := n / 12
	first := block * 12
	for _, size := range households[p.hash(forHousehold, block)%uint64(len(households))] {
		if n < first+size {
			break
		}
		first += size
	}
	return first
}

// home returns the district where the person is registered.
func (p *people) home(n uint32) domain.District {
	if isVisitor(n) {
		return p.elsewhere.district
	}
	return p.place.district
}

// unique returns a number that nobody else has, of any district, below 2^32.
func (p *people) unique(n uint32) uint64 { return p.place.rank<<personBits | uint64(n) }

// reference returns the person's reference number. Numbers differ between
// persons, between districts, and between seeds that differ modulo 900; visitors
// have theirs from the district they come to, so that a ledger can take in one
// district after the other.
func (p *people) reference(n uint32) domain.Reference {
	const span = 9_000_000_000_000
	x := p.seed%900*10_000_000_000 + uint64(p.place.district)*10_000_000 + uint64(n)
	var body [domain.ReferenceLength - 1]byte
	putDigits(body[:], span/9+permute(x, span, 0))
	return domain.MakeReference(string(body[:]))
}

// mobile returns the family's number: ten digits, the first from 6 to 9.
func (p *people) mobile(n uint32) uint64 {
	const span = 4_000_000_000
	return 6_000_000_000 + permute(p.unique(p.family(n)), span, hash(p.seed, forMobile))
}

// appendPhotoID appends the number of a document and returns its type. Of
// sixteen neighbours each has a slot of the table below to themselves, so that
// numbers of small documents are enough for everybody.
func (p *people) appendPhotoID(b []byte, n uint32) (domain.PhotoIDType, []byte) {
	slot := (uint64(n) ^ p.hash(forPhotoID, n>>4)) & 15
	key := hash(p.seed, forPhotoID, slot)
	one, sixteenth := p.unique(n), p.unique(n)>>4
	switch {
	case slot < 10: // no Aadhaar number that was issued begins with 1
		return domain.Aadhaar, appendDigits(append(b, '1'), permute(one, 100_000_000_000, hash(p.seed, forPhotoID)), 11)
	case slot < 13:
		x := permute(one, 26*26*26*10_000_000, hash(p.seed, forPhotoID))
		return domain.VoterID, appendDigits(appendLetters(b, x/10_000_000, 3), x%10_000_000, 7)
	case slot == 13:
		x := permute(sixteenth, 26*26*26*26*10_000, key)
		b = appendLetters(b, x/10_000/26, 3)
		b = append(b, 'P') // of a person
		b = appendLetters(b, hash(key, one), 1)
		b = appendDigits(b, x%10_000, 4)
		return domain.PANCard, appendLetters(b, x/10_000, 1)
	case slot == 14:
		return domain.DrivingLicence, appendDigits(append(b, "BR"...), permute(sixteenth, 10_000_000_000_000, key), 13)
	}
	x := permute(sixteenth, 26*10_000_000, key)
	return domain.Passport, appendDigits(appendLetters(b, x/10_000_000, 1), x%10_000_000, 7)
}

// uuid returns the id of the submission about a person, a version 7 UUID. Its
// last 62 bits alone tell submissions apart: of a kind there is one a day.
func (p *people) uuid(o op, day domain.Day, second int) (id domain.UUID) {
	const low = 1<<62 - 1
	what := uint64(p.place.district)<<38 | uint64(o.person)<<16 | uint64(day-driveBegins)<<4 | uint64(o.kind)
	tail := permute(what, low+1, hash(p.seed, forID))
	more := hash(p.seed, forID, what)
	at := uint64(int64(day)*86400-19800+int64(second))*1000 + more>>32%1000
	for i := range 6 {
		id[i] = byte(at >> (40 - 8*i))
	}
	id[6], id[7] = 0x70|byte(more>>8)&0x0f, byte(more)
	for i := range 8 {
		id[8+i] = byte(tail >> (56 - 8*i))
	}
	id[8] |= 0x80
	return id
}

func putDigits(b []byte, x uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + x%10)
		x /= 10
	}
}

func appendDigits(b []byte, x uint64, n int) []byte {
	at := len(b)
	for range n {
		b = append(b, '0')
	}
	putDigits(b[at:], x)
	return b
}

func appendLetters(b []byte, x uint64, n int) []byte {
	for range n {
		b = append(b, byte('A'+x%26))
		x /= 26
	}
	return b
}
