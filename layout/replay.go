package layout

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// node is something in a root, as its record has it.
type node struct {
	parent   *node
	name     string
	kind     byte // recDir, recFile, recSymlink, recNode, recAbsent
	meta     meta
	size     int64
	sum      uint32
	target   string
	typ      uint32 // of a recNode: S_IFIFO and the like
	dev      uint64
	xattrs   []xattr
	children map[string]*node
	lower    uint64 // where in lower it was moved to; 0: it wasn't
}

// path is where the node lies now, relative to the root's directory in the
// cache.
func (n *node) path() string {
	if n.lower != 0 {
		return lowerName + "/" + lowerEntry(n.lower)
	}
	if n.parent == nil {
		return rootfsName
	}
	return n.parent.path() + "/" + n.name
}

func lowerEntry(n uint64) string { return strconv.FormatUint(n, 10) }

// replay is a record that is being read.
type replay struct {
	f       *os.File
	r       *bufio.Reader
	root    *node
	in      *node
	layers  int
	skipped []Skipped
	err     error
}

var errRecord = errors.New("the record of the root is damaged")

// openReplay opens the record in a root's directory, which must have the
// given digest.
func openReplay(dir, sum string) (*replay, error) {
	f, err := os.Open(filepath.Join(dir, recordName))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err == nil && hex.EncodeToString(h.Sum(nil)) != sum {
		err = errRecord
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	root := &node{kind: recDir}
	return &replay{f: f, r: bufio.NewReaderSize(f, 64<<10), root: root, in: root}, nil
}

func (p *replay) close() error { return p.f.Close() }

// to replays until so many layers are applied; -1 means to the end.
func (p *replay) to(layers int) error {
	for layers < 0 || p.layers < layers {
		kind, err := p.r.ReadByte()
		if err == io.EOF && layers < 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		if err := p.apply(kind); err != nil {
			return err
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

func (p *replay) apply(kind byte) error {
	switch kind {
	case recLayers:
		p.layers = int(p.number())
		return nil
	case recSkip:
		p.skipped = append(p.skipped, Skipped{p.text(), p.text(), p.text()})
		return nil
	case recIn:
		p.in = p.root.at(p.text())
		if p.in == nil {
			return errRecord
		}
		return nil
	}
	name := p.text()
	if p.err != nil {
		return p.err
	}
	switch kind {
	case recDir:
		n := p.in
		if name != "." {
			if n = p.in.children[name]; n == nil || n.kind != recDir {
				n = p.in.put(&node{name: name, kind: recDir})
			}
		}
		n.meta, n.xattrs = p.meta(), p.xattrs()
	case recFile:
		p.in.put(&node{name: name, kind: kind, meta: p.meta(), size: int64(p.number()), sum: uint32(p.number()), xattrs: p.xattrs()})
	case recSymlink:
		p.in.put(&node{name: name, kind: kind, meta: p.meta(), target: p.text()})
	case recNode:
		p.in.put(&node{name: name, kind: kind, meta: p.meta(), typ: uint32(p.number()), dev: p.number()})
	case recLink:
		to := p.root.at(p.text())
		if to == nil {
			return errRecord
		}
		other := *to
		other.name = name
		p.in.put(&other)
	case recAbsent:
		p.in.put(&node{name: name, kind: kind})
	case recRemove:
		n := p.in.children[name]
		if n == nil {
			return errRecord
		}
		n.lower = p.number()
		delete(p.in.children, name)
	default:
		return errRecord
	}
	return p.err
}

// put puts n into the directory d.
func (d *node) put(n *node) *node {
	n.parent = d
	if d.children == nil {
		d.children = map[string]*node{}
	}
	d.children[n.name] = n
	return n
}

// at returns the node at a path without links, or nil.
func (d *node) at(path string) *node {
	if path == "." {
		return d
	}
	for name := range strings.SplitSeq(path, "/") {
		if d = d.children[name]; d == nil {
			return nil
		}
	}
	return d
}

// bytes is what all files at n and below hold. Who reads them by their names
// reads one with several links as often.
func (n *node) bytes() int64 {
	sum := n.size
	for _, child := range n.children {
		sum += child.bytes()
	}
	return sum
}

// recorded is how many bytes the root's files have, as its record says; 0 where
// that can't be read.
func (c *cached) recorded() int64 {
	meta, err := readMeta(c.root())
	if err != nil {
		return 0
	}
	p, err := openReplay(c.root(), meta.Record)
	if err != nil {
		return 0
	}
	defer p.close()
	if p.to(-1) != nil {
		return 0
	}
	return p.root.bytes()
}

func (p *replay) fail(err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%w: %w", errRecord, err)
	}
}

func (p *replay) number() uint64 {
	n, err := binary.ReadUvarint(p.r)
	p.fail(err)
	return n
}

func (p *replay) text() string {
	const most = 16 << 20 // no xattr, path or target is longer
	n := p.number()
	if n > most {
		p.fail(errors.New("a text is too long"))
	}
	if p.err != nil || n == 0 {
		return ""
	}
	b := make([]byte, n)
	_, err := io.ReadFull(p.r, b)
	p.fail(err)
	return string(b)
}

func (p *replay) meta() meta {
	m := meta{mode: uint32(p.number()), uid: int(p.number()), gid: int(p.number())}
	sec, err := binary.ReadVarint(p.r)
	p.fail(err)
	m.mtime = unix.Timespec{Sec: sec, Nsec: int64(p.number())}
	return m
}

func (p *replay) xattrs() []xattr {
	n := p.number()
	var attrs []xattr
	for ; n > 0 && p.err == nil; n-- {
		attrs = append(attrs, xattr{p.text(), []byte(p.text())})
	}
	return attrs
}
