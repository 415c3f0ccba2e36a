package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/pflag"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
)

// storeFlags say how much of the Nix store an image gets to see.
type storeFlags struct {
	nixStore string
}

func (f *storeFlags) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.nixStore, "nix-store", "", "what /nix/store shows: the image's `closure` (the default for images made by Nix), whole, or none")
}

func (f *storeFlags) check() error {
	switch f.nixStore {
	case "", "closure", "whole", "none":
		return nil
	}
	return fmt.Errorf("--nix-store: %q is not supported (has: closure, whole, none)", f.nixStore)
}

// store finds out what the root shows in /nix/store.
func (s *session) store(ctx context.Context) error {
	wish := s.flags.nixStore
	if s.image.Bundle != nil && wish == "" {
		return nil // a bundle's config.json says all that it has
	}
	switch {
	case wish == "none":
		return nil
	case wish == "whole":
		return s.wholeStore("--nix-store whole")
	case s.root.Store != nil:
		s.rootfs.Store = closure(s.root.Store, s.image.Form)
		return nil
	case s.image.Dirs == nil:
		return nil // what was unpacked has its own
	}
	roots, err := layout.StoreReferences(ctx, s.root.Dirs, s.image.Config.Config)
	if err != nil || len(roots) == 0 {
		return err
	}
	cache := s.cache
	if s.flags.noCache {
		cache = ""
	}
	paths, why, err := closureOf(ctx, roots, cache)
	if err == nil {
		s.rootfs.Store = closure(paths, why)
		return nil
	}
	if why != "" || ctx.Err() != nil {
		return err
	}
	if wish == "closure" {
		return &hinted{fmt.Errorf("--nix-store closure: %w", err), "--nix-store whole shows all of the store"}
	}
	s.storeNote = &convert.Note{Field: convert.StoreDir, Text: fmt.Sprintf("all of the store is shown, not only the closure of the root: %v", err)}
	return s.wholeStore("the root is in the store")
}

// closure is the store of the given paths.
func closure(paths []layout.StorePath, why string) *convert.Store {
	st := &convert.Store{Why: why, Paths: make([]bwrap.StorePath, len(paths))}
	for i, p := range paths {
		st.Paths[i] = bwrap.StorePath{Name: p.Name, Src: p.Source, Link: p.Link}
	}
	st.FS = newStoreFS(st.Paths)
	return st
}

func (s *session) wholeStore(why string) error {
	info, err := os.Stat(convert.StoreDir)
	if err != nil {
		return fmt.Errorf("--nix-store: %w", err)
	}
	if !info.IsDir() {
		return errors.New("--nix-store: " + convert.StoreDir + " is not a directory")
	}
	fsys, err := openDir(convert.StoreDir)
	if err != nil {
		return err
	}
	s.rootfs.Store = &convert.Store{Whole: convert.StoreDir, FS: fsys, Why: why}
	return nil
}

// storeOwner takes the owner of store paths, whom a user namespace does not
// map and shows as nobody, for what it is in the image: root.
func storeOwner(owner func(fs.FileInfo) (uid, gid int)) func(fs.FileInfo) (uid, gid int) {
	if owner == nil {
		return nil
	}
	const overflow = 65534 // the kernel's, unless /proc/sys/kernel/overflowuid says otherwise
	return func(info fs.FileInfo) (int, int) {
		uid, gid := owner(info)
		if uid == overflow {
			uid, gid = 0, 0
		}
		return uid, gid
	}
}
