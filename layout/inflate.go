package layout

import (
	"encoding/binary"
	"errors"
	"io"
)

// inflater decompresses one DEFLATE stream (RFC 1951) after the other. A
// layer's gzip is what a cold start waits for, and one core can't share it:
// this decoder reads eight bytes of input at a time and several symbols
// between two looks at its buffers.
type inflater struct {
	r     io.Reader
	in    []byte // input, and inPad bytes of room
	pos   int    // of the next byte not yet in bits
	end   int    // of the input in in
	inEOF bool
	inErr error // what r has ended with

	bits  uint64 // of them nbits count; what is above may be set
	nbits uint

	out  []byte // history, then output
	at   int    // end of the output in out
	done int    // what of the output has been taken
	low  int    // where in out the stream's history begins

	state  blockState
	final  bool // the block is the last of its stream
	stored int  // bytes left of a stored block
	lit    *litTable
	dist   *distTable
	dyn    struct {
		lit  litTable
		dist distTable
	}
	fixed struct {
		made bool
		lit  litTable
		dist distTable
	}
}

type blockState int

const (
	blockHeader blockState = iota
	blockStored
	blockCodes
	blockEnd // of the stream
)

const (
	inSize    = 128 << 10
	inPad     = 64 // zeros after the last byte, so that eight can always be read
	window    = 32 << 10
	outSize   = window + 256<<10
	maxMatch  = 258
	maxRefill = 16                // bytes that one round of the loop looks at
	outSlack  = 3 + maxMatch + 16 // what one round of the loop may write, rounded up to words
)

var errCorrupt = errors.New("corrupt compressed data")

func newInflater(r io.Reader) *inflater {
	return &inflater{r: r, in: make([]byte, inSize+inPad), out: make([]byte, outSize+outSlack), at: window, done: window, low: window}
}

// reset starts a new stream where the last one has ended.
func (f *inflater) reset() {
	f.state, f.final, f.at, f.done, f.low = blockHeader, false, window, window, window
}

// Read returns io.EOF at the end of one stream.
func (f *inflater) Read(p []byte) (int, error) {
	for f.done == f.at {
		if f.state == blockEnd {
			return 0, io.EOF
		}
		if f.at >= outSize {
			copy(f.out[:window], f.out[f.at-window:f.at])
			f.at, f.done, f.low = window, window, 0
		}
		if err := f.step(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.out[f.done:f.at])
	f.done += n
	return n, nil
}

// step goes on with the stream until there is output or a block has ended.
func (f *inflater) step() error {
	switch f.state {
	case blockHeader:
		return f.header()
	case blockStored:
		return f.copyStored()
	}
	return f.codes()
}

// more reads input, keeping what is not consumed. At the end of the input it
// pads with zeros, and fails when the padding has been used.
func (f *inflater) more() error {
	if f.inEOF {
		if f.overrun() {
			return f.inErr
		}
		return nil
	}
	// Whole bytes in bits may be given back.
	kept := int(f.nbits / 8)
	n := copy(f.in, f.in[f.pos-kept:f.end])
	f.pos, f.end = kept, n
	for f.end-f.pos < inPad && !f.inEOF {
		n, err := f.r.Read(f.in[f.end:inSize])
		f.end += n
		if err != nil {
			f.inEOF, f.inErr = true, err
			if err == io.EOF {
				f.inErr = io.ErrUnexpectedEOF
			}
			clear(f.in[f.end : f.end+inPad])
		}
	}
	return nil
}

// overrun says that bits were used that aren't there.
func (f *inflater) overrun() bool { return f.pos-int(f.nbits/8) > f.end }

// need makes n bits available, at most 56.
func (f *inflater) need(n uint) error {
	if f.pos > f.end-maxRefill {
		if err := f.more(); err != nil {
			return err
		}
	}
	f.bits |= binary.LittleEndian.Uint64(f.in[f.pos:]) << f.nbits
	f.pos += int((63 - f.nbits) >> 3)
	f.nbits |= 56
	if f.inEOF && 8*f.pos-int(f.nbits)+int(n) > 8*f.end {
		return f.inErr
	}
	return nil
}

// take returns the next n bits, which are available.
func (f *inflater) take(n uint) uint {
	v := uint(f.bits) & (1<<n - 1)
	f.bits >>= n
	f.nbits -= n
	return v
}

// align gives back all whole bytes that are in bits and drops the rest.
func (f *inflater) align() {
	f.pos -= int(f.nbits / 8)
	f.bits, f.nbits = 0, 0
}

// Bytes reads what follows the stream: exactly len(p) bytes.
func (f *inflater) Bytes(p []byte) error {
	f.align()
	for len(p) > 0 {
		if f.pos >= f.end {
			if f.inEOF {
				return f.inErr
			}
			if err := f.more(); err != nil {
				return err
			}
			continue
		}
		n := copy(p, f.in[f.pos:f.end])
		f.pos += n
		p = p[n:]
	}
	return nil
}

// AtEOF says whether the input has ended.
func (f *inflater) AtEOF() (bool, error) {
	f.align()
	for f.pos >= f.end && !f.inEOF {
		if err := f.more(); err != nil {
			return false, err
		}
	}
	if f.pos < f.end {
		return false, nil
	}
	if f.inErr != io.ErrUnexpectedEOF {
		return false, f.inErr
	}
	return true, nil
}

// header reads the header of a block (RFC 1951, 3.2.3).
func (f *inflater) header() error {
	if f.final {
		f.state = blockEnd
		return nil
	}
	if err := f.need(3); err != nil {
		return err
	}
	f.final = f.take(1) == 1
	switch f.take(2) {
	case 0:
		var b [4]byte
		if err := f.Bytes(b[:]); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint16(b[:])
		if n != ^binary.LittleEndian.Uint16(b[2:]) {
			return errCorrupt
		}
		f.stored, f.state = int(n), blockStored
	case 1:
		if !f.fixed.made {
			f.fixed.made = true
			if err := fixedTables(&f.fixed.lit, &f.fixed.dist); err != nil {
				return err
			}
		}
		f.lit, f.dist, f.state = &f.fixed.lit, &f.fixed.dist, blockCodes
	case 2:
		if err := f.dynamic(); err != nil {
			return err
		}
		f.lit, f.dist, f.state = &f.dyn.lit, &f.dyn.dist, blockCodes
	default:
		return errCorrupt
	}
	return nil
}

// copyStored copies of a block that isn't compressed (3.2.4).
func (f *inflater) copyStored() error {
	n := min(f.stored, outSize-f.at)
	if err := f.Bytes(f.out[f.at : f.at+n]); err != nil {
		return err
	}
	f.at += n
	if f.stored -= n; f.stored == 0 {
		f.state = blockHeader
	}
	return nil
}

// codeOrder is the order of the code length codes (3.2.7).
var codeOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block (3.2.7).
func (f *inflater) dynamic() error {
	if err := f.need(14); err != nil {
		return err
	}
	nlit, ndist, ncode := int(f.take(5))+257, int(f.take(5))+1, int(f.take(4))+4
	if nlit > 286 || ndist > 30 {
		return errCorrupt
	}
	var codeLens [19]byte
	for _, symbol := range codeOrder[:ncode] {
		if err := f.need(3); err != nil {
			return err
		}
		codeLens[symbol] = byte(f.take(3))
	}
	// The table of distances has room for the short one of lengths.
	table := &f.dyn.dist
	if err := buildTable(table[:], distBits, codeLens[:], plainEntry); err != nil {
		return err
	}
	var lens [286 + 30]byte
	for i := 0; i < nlit+ndist; {
		if err := f.need(7 + 7); err != nil {
			return err
		}
		e := table[f.bits&(1<<distBits-1)]
		if e&flagBad != 0 {
			return errCorrupt
		}
		f.take(uint(e & maskTotal))
		symbol, value, repeat := e>>shiftBase&0xff, byte(0), 1
		switch symbol {
		case 16:
			if i == 0 {
				return errCorrupt
			}
			value, repeat = lens[i-1], 3+int(f.take(2))
		case 17:
			repeat = 3 + int(f.take(3))
		case 18:
			repeat = 11 + int(f.take(7))
		default:
			value = byte(symbol)
		}
		if i+repeat > nlit+ndist {
			return errCorrupt
		}
		for range repeat {
			lens[i] = value
			i++
		}
	}
	if lens[256] == 0 {
		return errCorrupt // no block without an end
	}
	if err := buildTable(f.dyn.lit[:], litBits, lens[:nlit], litEntry); err != nil {
		return err
	}
	return buildTable(f.dyn.dist[:], distBits, lens[nlit:nlit+ndist], distEntry)
}
