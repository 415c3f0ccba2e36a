package layout

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mappedPrefix begins the Ownership of Mapped.
const mappedPrefix = "map "

// Mapped gives files the owners the image has, as root of a user namespace
// that maps them. uids and gids are the namespace's maps as the kernel prints
// them (user_namespaces(7)): with others, other ids would own the files.
func Mapped(uids, gids []byte) Ownership {
	words := func(m []byte) string {
		var lines []string
		for line := range strings.Lines(string(m)) {
			if f := strings.Fields(line); len(f) > 0 {
				lines = append(lines, strings.Join(f, ":"))
			}
		}
		return strings.Join(lines, ",")
	}
	return Ownership(mappedPrefix + words(uids) + " " + words(gids))
}

func (o Ownership) mapped() bool { return strings.HasPrefix(string(o), mappedPrefix) }

// owners says that files get the owners that the image has.
func (o Ownership) owners() bool { return o != Caller }

// name is the ownership's part of a cache key.
func (o Ownership) name() string {
	switch {
	case o == Caller:
		return "caller"
	case o.mapped():
		return fmt.Sprintf("map%x", sha256.Sum256([]byte(o)))[:15]
	}
	return string(o)
}

func (o Ownership) check() error {
	switch {
	case o != Caller && o != Real && !o.mapped():
		return fmt.Errorf("ownership %q is not known", string(o))
	case o.owners() && os.Geteuid() != 0:
		return errors.New("unpacking with the image's owners needs root")
	}
	return nil
}

// chownError explains why a file can't be given an owner.
func (o Ownership) chownError(uid, gid int, err error) error {
	err = fmt.Errorf("chown to %d:%d: %w", uid, gid, err)
	if !o.mapped() {
		return err
	}
	return &hinted{err, "give yourself more ids in /etc/subuid and /etc/subgid, put the cache where owners can be kept (--cache-dir), or do without with --userns single"}
}

// HasMapped says whether the cache may hold files of an Ownership of Mapped,
// which only root of such a user namespace can look at and remove.
func (s *Store) HasMapped() bool {
	for _, name := range []string{"roots", "tmp"} {
		entries, err := os.ReadDir(filepath.Join(s.Dir, name))
		if err != nil {
			continue
		}
		for _, e := range entries {
			key, _, _ := strings.Cut(e.Name(), ".")
			if strings.Contains(key, "-map") || isTemporary(key) {
				return true
			}
		}
	}
	return false
}
