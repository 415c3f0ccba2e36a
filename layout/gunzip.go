package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// gunzip decompresses a gzip stream (RFC 1952), all its members. Nothing may
// follow them.
type gunzip struct {
	f   *inflater
	crc uint32 // of the member so far
	n   uint32 // its bytes
	err error
}

// newGunzip reads the header of the first member.
func newGunzip(r io.Reader) (*gunzip, error) {
	z := &gunzip{f: newInflater(r)}
	return z, z.header()
}

// header reads a member's header (RFC 1952, 2.3.1).
func (z *gunzip) header() error {
	var crc uint32
	var b [10]byte
	read := func(p []byte) error {
		err := z.f.Bytes(p)
		crc = crc32.Update(crc, crc32.IEEETable, p)
		return err
	}
	if err := read(b[:]); err != nil {
		return err
	}
	if b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 {
		return errors.New("invalid header")
	}
	const hcrc, extra, name, comment = 1 << 1, 1 << 2, 1 << 3, 1 << 4
	flags := b[3]
	if flags&extra != 0 {
		if err := read(b[:2]); err != nil {
			return err
		}
		if err := read(make([]byte, binary.LittleEndian.Uint16(b[:]))); err != nil {
			return err
		}
	}
	for _, text := range []byte{name, comment} {
		b[0] = 1
		for flags&text != 0 && b[0] != 0 {
			if err := read(b[:1]); err != nil {
				return err
			}
		}
	}
	if flags&hcrc != 0 {
		want := crc
		if err := read(b[:2]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(b[:]) != uint16(want) {
			return errors.New("invalid checksum of the header")
		}
	}
	z.f.reset()
	z.crc, z.n = 0, 0
	return nil
}

func (z *gunzip) Read(p []byte) (int, error) {
	for z.err == nil {
		n, err := z.f.Read(p)
		z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
		z.n += uint32(n)
		if err == io.EOF {
			err = z.next()
		}
		z.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, z.err
}

// next ends a member and starts the one that follows, if any.
func (z *gunzip) next() error {
	var b [8]byte
	if err := z.f.Bytes(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != z.crc || binary.LittleEndian.Uint32(b[4:]) != z.n {
		return errors.New("invalid checksum")
	}
	end, err := z.f.AtEOF()
	if err != nil {
		return err
	}
	if end {
		return io.EOF
	}
	if err := z.header(); err != nil {
		return fmt.Errorf("what follows the compressed stream: %w", err)
	}
	return nil
}
