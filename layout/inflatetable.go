package layout

import "math/bits"

// A table is indexed by the next bits of the input, litBits or distBits of
// them. Its entries say how many bits a symbol takes, those of its extra value
// included, and what it stands for:
//
//	bit  0-4    bits to consume: code and extra ones
//	bit  8-11   bits of the code
//	bit  16-30  literal, length or distance without its extra bits; or where
//	            in the table the longer codes with these bits are
//	bit  5      a literal
//	bit  6      neither literal nor length: see the next two
//	bit  7      longer code: index by its further bits, in bits 8-11 counted
//	bit  12     end of block
//	bit  13     no code has these bits
//
// Tables are larger than the codes of RFC 1951 can make them, so that masking
// an index is all the checking it needs.
type (
	litTable  [4096]uint32
	distTable [1024]uint32
)

const (
	litBits  = 11
	distBits = 8

	maskTotal  = 0x1f
	shiftCode  = 8
	maskCode   = 0xf
	shiftBase  = 16
	flagLit    = 1 << 5
	flagOther  = 1 << 6
	flagLonger = 1 << 7
	flagEnd    = 1 << 12
	flagBad    = 1 << 13
	badEntry   = flagBad | flagOther
)

// Lengths and distances of RFC 1951, 3.2.5.
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
)

func plainEntry(symbol int) (entry uint32, extra uint) { return uint32(symbol) << shiftBase, 0 }

func litEntry(symbol int) (entry uint32, extra uint) {
	switch {
	case symbol < 256:
		return uint32(symbol)<<shiftBase | flagLit, 0
	case symbol == 256:
		return flagOther | flagEnd, 0
	case symbol < 257+len(lengthBase):
		return uint32(lengthBase[symbol-257]) << shiftBase, uint(lengthExtra[symbol-257])
	}
	return badEntry, 0
}

func distEntry(symbol int) (entry uint32, extra uint) {
	switch {
	case symbol < 4:
		return uint32(symbol+1) << shiftBase, 0
	case symbol < 30:
		extra = uint(symbol/2 - 1)
		return uint32(2+symbol&1)<<extra<<shiftBase + 1<<shiftBase, extra
	}
	return badEntry, 0
}

// fixedTables makes the tables of blocks with fixed codes (3.2.6).
func fixedTables(lit *litTable, dist *distTable) error {
	var lens [288]byte
	for i := range lens {
		switch {
		case i < 144, i >= 280:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		default:
			lens[i] = 7
		}
	}
	if err := buildTable(lit[:], litBits, lens[:], litEntry); err != nil {
		return err
	}
	for i := range 32 {
		lens[i] = 5
	}
	return buildTable(dist[:], distBits, lens[:32], distEntry)
}

// buildTable makes the table of the canonical code with the given lengths
// (3.2.2). A code must be complete, or have one symbol of one bit, or none.
func buildTable(table []uint32, tableBits uint, lens []byte, entryOf func(int) (uint32, uint)) error {
	var count, next [17]int
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	longest, left := 0, 1
	for n := 1; n <= 15; n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return errCorrupt
		}
		if count[n] > 0 {
			longest = n
		}
		next[n+1] = (next[n] + count[n]) << 1
	}
	single := longest == 1 && count[1] == 1
	if left > 0 && longest > 0 && !single {
		return errCorrupt
	}
	if left > 0 {
		for i := range 1 << tableBits {
			table[i] = badEntry
		}
	}
	free, mask := 1<<tableBits, 1<<tableBits-1
	// Symbols of equal length have rising codes; the first of those with the
	// same low bits knows how long the longest of them is.
	for n := 1; n <= longest; n++ {
		if count[n] == 0 {
			continue
		}
		for symbol, length := range lens {
			if int(length) != n {
				continue
			}
			code := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
			next[n]++
			entry, extra := entryOf(symbol)
			entry |= uint32(n)<<shiftCode | uint32(uint(n)+extra)
			if uint(n) <= tableBits {
				for i := code; i <= mask; i += 1 << n {
					table[i] = entry
				}
				continue
			}
			free = addLonger(table, tableBits, free, code, n, entry, &count)
			count[n]--
		}
	}
	return nil
}

// addLonger enters a code that is longer than tableBits and returns where the
// next table of longer codes may begin. Of count, the codes that are entered
// have been taken.
func addLonger(table []uint32, tableBits uint, free, code, n int, entry uint32, count *[17]int) int {
	low := code & (1<<tableBits - 1)
	if code>>tableBits == 0 {
		// The first code with these low bits, which are those that follow
		// it until its table is full.
		size := n - int(tableBits)
		for used := count[n]; used < 1<<size && size+int(tableBits) < 15; {
			size++
			used = used<<1 + count[size+int(tableBits)]
		}
		table[low] = uint32(free)<<shiftBase | uint32(size)<<shiftCode | flagOther | flagLonger
		free += 1 << size
	}
	start, size := int(table[low]>>shiftBase), table[low]>>shiftCode&maskCode
	for i := code >> tableBits; i < 1<<size; i += 1 << (n - int(tableBits)) {
		table[start+i] = entry
	}
	return free
}
