package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// upperDir is the directory of --upper. It holds
//
//	image.json   what the writes belong to
//	upper/       what was written: the upper layer of an overlay
//	work/        overlayfs' own
//
// One run at a time has it, by a lock that ends with the process.
type upperDir struct {
	path string // absolute, without symlinks
	lock *os.File
}

// upperOwner is image.json: the layers that the writes lie on and whose ids
// the files have. On other ones they would mean something else.
type upperOwner struct {
	Image  []string `json:"image"`            // diff ids, or the directories of an image that is directories
	Owners string   `json:"owners,omitempty"` // as the cache keys them
}

// openUpper opens the directory, and makes it where it is missing. Only to
// look, it need not be there and is not locked.
func openUpper(path string, want upperOwner, look bool) (_ *upperDir, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if !look {
		if err := os.Mkdir(abs, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	u := &upperDir{}
	if u.path, err = filepath.EvalSymlinks(abs); err != nil {
		if look && errors.Is(err, fs.ErrNotExist) {
			return &upperDir{path: abs}, nil
		}
		return nil, err
	}
	if info, err := os.Stat(u.path); err == nil && !info.IsDir() {
		return nil, &hinted{fmt.Errorf("%s is not a directory", u.path), "name one, or one that is to be made"}
	}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	if !look {
		if u.lock, err = lockDir(u.path); err != nil {
			return nil, err
		}
	}
	return u, u.claim(want, look)
}

// claim checks whose the directory is; an empty one becomes the image's.
func (u *upperDir) claim(want upperOwner, look bool) error {
	file := filepath.Join(u.path, "image.json")
	doc, err := json.Marshal(want)
	if err != nil {
		return err
	}
	doc = append(doc, '\n')
	have, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(have, doc):
		return nil
	case err == nil:
		var owner upperOwner
		if json.Unmarshal(have, &owner) == nil && owner.Owners != want.Owners {
			return &hinted{fmt.Errorf("%s holds files with other ids than this caller's sandboxes have", u.path), "run it with the same user and --userns as before, or name another directory"}
		}
		return &hinted{fmt.Errorf("%s holds what was written to another image", u.path), "name another directory"}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	entries, err := os.ReadDir(u.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "image.json.new" {
			return &hinted{fmt.Errorf("%s holds %q, and is no directory of --upper", u.path, e.Name()), "name an empty one"}
		}
	}
	if look {
		return nil
	}
	if err := os.WriteFile(file+".new", doc, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (u *upperDir) close() {
	if u != nil && u.lock != nil {
		u.lock.Close()
	}
}

// upper opens --upper and shows what it holds in the view of the root.
func (s *session) upper() error {
	dir := s.flags.upperDir
	if dir == "" {
		return nil
	}
	want := upperOwner{Image: s.root.Dirs, Owners: string(s.standing.ownership())}
	if ids := s.image.Config.RootFS.DiffIDs; len(ids) > 0 {
		want.Image = nil
		for _, id := range ids {
			want.Image = append(want.Image, id.String())
		}
	}
	var err error
	if s.kept, err = openUpper(dir, want, !s.running); err != nil {
		return fmt.Errorf("--upper: %w", err)
	}
	s.rootfs.Upper = s.kept.path
	upper := filepath.Join(s.kept.path, "upper")
	if _, err := os.Lstat(upper); err == nil {
		s.rootfs.FS = &upperFS{dir: upper, base: s.rootfs.FS}
	}
	return nil
}
