package main

import (
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// storeFS is the view of a closure: each store path where it lies, and no
// other. It is asked for names without symlinks only.
type storeFS struct {
	paths map[string]bwrap.StorePath
	list  []bwrap.StorePath // sorted
}

func newStoreFS(paths []bwrap.StorePath) *storeFS {
	s := &storeFS{paths: make(map[string]bwrap.StorePath, len(paths)), list: paths}
	for _, p := range paths {
		s.paths[p.Name] = p
	}
	return s
}

// find gives the store path that name lies in, and where name is on the host.
func (s *storeFS) find(op, name string) (bwrap.StorePath, string, error) {
	first, rest, _ := strings.Cut(name, "/")
	p, ok := s.paths[first]
	if !fs.ValidPath(name) || !ok || p.Link != "" && rest != "" {
		return p, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	if rest == "" {
		return p, p.Src, nil
	}
	return p, p.Src + "/" + rest, nil
}

func (s *storeFS) Lstat(name string) (fs.FileInfo, error) {
	if name == "." {
		return storeDirInfo{}, nil
	}
	_, at, err := s.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return os.Lstat(at)
}

func (s *storeFS) ReadLink(name string) (string, error) {
	p, at, err := s.find("readlink", name)
	if err != nil || p.Link != "" {
		return p.Link, err
	}
	return os.Readlink(at)
}

func (s *storeFS) Open(name string) (fs.File, error) {
	_, at, err := s.find("open", name)
	if err != nil {
		return nil, err
	}
	return os.Open(at)
}

func (s *storeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		_, at, err := s.find("readdir", name)
		if err != nil {
			return nil, err
		}
		return os.ReadDir(at)
	}
	entries := make([]fs.DirEntry, 0, len(s.list))
	for _, p := range s.list {
		info, err := os.Lstat(p.Src)
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, nil
}

// storeDirInfo describes the directory that holds the closure.
type storeDirInfo struct{}

func (storeDirInfo) Name() string       { return "." }
func (storeDirInfo) Size() int64        { return 0 }
func (storeDirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (storeDirInfo) ModTime() time.Time { return time.Unix(1, 0) }
func (storeDirInfo) IsDir() bool        { return true }
func (storeDirInfo) Sys() any           { return nil }
