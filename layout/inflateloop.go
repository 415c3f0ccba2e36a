package layout

import "encoding/binary"

// codes decodes a block of Huffman codes (RFC 1951, 3.2.3) until it ends or
// the output is full. A round of the loop looks at its buffers once: it takes
// up to three literals, or fewer and a match.
//
//nolint:gocyclo // what is called is not inlined
func (f *inflater) codes() error {
	in, out, pos, at := f.in, f.out, f.pos, f.at
	bits, nbits := f.bits, f.nbits
	lit, dist := f.lit, f.dist
	for at < outSize {
		if pos > f.end-maxRefill {
			f.pos, f.nbits = pos, nbits
			if err := f.more(); err != nil {
				return err
			}
			pos = f.pos
		}
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (nbits & 63)
		pos += int((63 - nbits) >> 3)
		nbits |= 56

		e := lit[bits&(1<<litBits-1)]
		for n := 0; e&flagLit != 0; n++ {
			out[at] = byte(e >> shiftBase)
			at++
			bits >>= e & maskTotal
			nbits -= uint(e & maskTotal)
			if n == 2 {
				break
			}
			e = lit[bits&(1<<litBits-1)]
		}
		if e&flagLit != 0 {
			continue
		}
		if e&flagOther != 0 {
			if e&flagLonger != 0 {
				e = lit[(uint64(e>>shiftBase)+bits>>litBits&(1<<(e>>shiftCode&maskCode)-1))%uint64(len(lit))]
			}
			if e&flagLit != 0 {
				out[at] = byte(e >> shiftBase)
				at++
				bits >>= e & maskTotal
				nbits -= uint(e & maskTotal)
				continue
			}
			if e&flagOther != 0 {
				bits >>= e & maskTotal
				nbits -= uint(e & maskTotal)
				f.pos, f.at, f.bits, f.nbits = pos, at, bits, nbits
				return f.endBlock(e)
			}
		}
		saved := bits
		bits >>= e & maskTotal
		nbits -= uint(e & maskTotal)
		length := int(e>>shiftBase) + int(saved&(1<<(e&maskTotal)-1)>>(e>>shiftCode&maskCode))
		if nbits < 15+13 {
			bits |= binary.LittleEndian.Uint64(in[pos:]) << (nbits & 63)
			pos += int((63 - nbits) >> 3)
			nbits |= 56
		}

		e = dist[bits&(1<<distBits-1)]
		if e&flagLonger != 0 {
			e = dist[(uint64(e>>shiftBase)+bits>>distBits&(1<<(e>>shiftCode&maskCode)-1))%uint64(len(dist))]
		}
		saved = bits
		bits >>= e & maskTotal
		nbits -= uint(e & maskTotal)
		distance := int(e>>shiftBase) + int(saved&(1<<(e&maskTotal)-1)>>(e>>shiftCode&maskCode))
		if e&flagOther != 0 || distance > at-f.low {
			return errCorrupt
		}
		copyMatch(out, at, distance, length)
		at += length
	}
	f.pos, f.at, f.bits, f.nbits = pos, at, bits, nbits
	return nil
}

// endBlock ends a block with an entry that is neither literal nor length.
func (f *inflater) endBlock(e uint32) error {
	if e&flagEnd == 0 {
		return errCorrupt
	}
	if f.inEOF && f.overrun() {
		return f.inErr
	}
	f.state = blockHeader
	return nil
}

// copyMatch repeats length bytes from distance bytes back at out[at:]. It may
// write up to 16 bytes more.
func copyMatch(out []byte, at, distance, length int) {
	from := at - distance
	switch {
	case distance >= 8 && length <= 32:
		// Words of what the round before has written, too.
		for n := 0; n < length; n += 8 {
			binary.LittleEndian.PutUint64(out[at+n:], binary.LittleEndian.Uint64(out[from+n:]))
		}
	case distance >= length:
		copy(out[at:at+length], out[from:])
	case distance == 1:
		b := out[from]
		fillWith := out[at : at+length]
		for i := range fillWith {
			fillWith[i] = b
		}
	default:
		for n := 0; n < length; {
			// What is there doubles with each copy.
			n += copy(out[at+n:at+length], out[from:at+n])
		}
	}
}
