package main

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// insideFS is the root of a sandbox that runs. Its command may change what is
// looked at between two looks: no name leads out, whatever it is by then, and no
// file makes the reader wait.
type insideFS struct{ root *os.Root }

func openInside(dir string) (*insideFS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &insideFS{root}, nil
}

func (f *insideFS) Close() error { return f.root.Close() }

// Open opens a regular file.
func (f *insideFS) Open(name string) (fs.File, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f *insideFS) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }
func (f *insideFS) ReadLink(name string) (string, error)   { return f.root.Readlink(name) }
