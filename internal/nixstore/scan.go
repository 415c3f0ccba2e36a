package nixstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	hashLength = 32 // of the hash that a store path's name begins with
	scanBuffer = 256 << 10
)

// ErrTooMuch says that a closure holds more than was to be read.
var ErrTooMuch = errors.New("there is too much to read")

// Scan finds the closure of store paths in dir, a store, as Nix finds what a
// build refers to: by the hashes of store paths in names, targets of symlinks
// and contents. It asks nobody, reads at most limit bytes, and finds all that
// Nix knows of a closure; it may find a path more, which a text names that the
// build did not depend on. The result is sorted.
func Scan(ctx context.Context, dir string, paths []string, limit int64) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	s := scanner{ctx: ctx, left: limit, names: map[string][]string{}, seen: map[uint64]bool{}, found: map[string]bool{}, buf: make([]byte, scanBuffer)}
	for _, e := range entries {
		name := e.Name()
		if len(name) > hashLength && name[hashLength] == '-' && !strings.HasSuffix(name, ".lock") && !strings.HasSuffix(name, ".chroot") {
			s.names[name[:hashLength]] = append(s.names[name[:hashLength]], name)
		}
	}
	for _, p := range paths {
		s.add(filepath.Base(p))
	}
	for len(s.todo) > 0 {
		last := len(s.todo) - 1
		next := filepath.Join(dir, s.todo[last])
		s.todo = s.todo[:last]
		if err := s.tree(next); err != nil {
			return nil, fmt.Errorf("read the references of %s: %w", next, err)
		}
	}
	closure := slices.Sorted(maps.Keys(s.found))
	for i, name := range closure {
		closure[i] = filepath.Join(dir, name)
	}
	return closure, nil
}

type scanner struct {
	ctx   context.Context
	left  int64
	names map[string][]string // by hash, of all that the store has
	seen  map[uint64]bool     // inodes with several names: a store may link what is alike
	found map[string]bool
	todo  []string // of these
	buf   []byte
}

func (s *scanner) add(name string) {
	if !s.found[name] {
		s.found[name] = true
		s.todo = append(s.todo, name)
	}
}

// tree looks for hashes in a file, or a directory and all below it.
func (s *scanner) tree(root string) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		s.text([]byte(d.Name()))
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			s.text([]byte(target))
			return err
		case d.Type().IsRegular():
			return s.file(file, d)
		}
		return nil
	})
}

// file looks for hashes in a file's content.
func (s *scanner) file(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		if s.seen[st.Ino] {
			return nil
		}
		s.seen[st.Ino] = true
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	kept := 0 // bytes at the buffer's start that a hash may begin in
	for {
		n, err := f.Read(s.buf[kept:])
		if s.left -= int64(n); s.left < 0 {
			return ErrTooMuch
		}
		b := s.buf[:kept+n]
		s.text(b)
		kept = copy(s.buf, b[max(0, len(b)-hashLength+1):])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
	}
}

// text adds the store paths whose hashes are in b. A byte that no hash can have
// is looked for from the end of where one could be, and what is before it left
// out at once.
func (s *scanner) text(b []byte) {
next:
	for i, checked := 0, 0; i+hashLength <= len(b); { // from i to checked there are digits
		for j := i + hashLength - 1; j >= checked; j-- {
			if !hashDigit[b[j]] {
				i, checked = j+1, j+1
				continue next
			}
		}
		for _, name := range s.names[string(b[i:i+hashLength])] {
			s.add(name)
		}
		checked = i + hashLength
		i++
	}
}

// hashDigit are the digits of Nix's base 32: no e, o, t or u.
var hashDigit = func() (is [256]bool) {
	for _, c := range "0123456789abcdfghijklmnpqrsvwxyz" {
		is[c] = true
	}
	return is
}()
