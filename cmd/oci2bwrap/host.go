package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// readHost collects what the conversion may know of this machine.
func readHost(by standing) (convert.Host, error) {
	h := convert.Host{
		UID: os.Geteuid(), GID: os.Getegid(), Confined: by.confined,
		Files: map[string][]byte{}, Paths: map[string]fs.FileMode{}, Denied: map[string]string{}, Devices: map[string]convert.Node{},
		Dir:  openDir,
		Over: func(upper string, lower fs.ReadLinkFS) fs.ReadLinkFS { return &upperFS{dir: upper, base: lower} },
	}
	var err error
	if h.Mapped, err = by.mapped(); err != nil {
		return h, err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return h, fmt.Errorf("uname: %w", err)
	}
	h.Hostname, h.Kernel = unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Release[:])
	readAddresses(&h)
	for _, file := range append([]string{"/etc/resolv.conf", "/etc/hosts", "/etc/hostname"}, convert.ResolverFiles()...) {
		data, err := os.ReadFile(file)
		if err == nil {
			h.Files[file] = data
		}
	}
	return h, nil
}

// lookAt fills in which of the paths that the Spec names this machine has. who
// are this process's ids, for people.
func lookAt(h *convert.Host, s *specs.Spec, who string) error {
	lookForCgroup(h, s)
	if len(s.Process.Rlimits) > 0 || s.Process.OOMScoreAdj != nil {
		if err := lookAtLimits(h); err != nil {
			return err
		}
	}
	paths := append([]string{}, s.Linux.MaskedPaths...)
	paths = append(paths, s.Linux.ReadonlyPaths...)
	if s.Process != nil && filepath.IsAbs(s.Process.Cwd) {
		paths = append(paths, filepath.Clean(s.Process.Cwd)) // which may be in /sys
	}
	for _, m := range s.Mounts {
		if filepath.IsAbs(m.Source) {
			paths = append(paths, m.Source)
		}
		if o, err := convert.ParseOverlaid(m); m.Type == "overlay" && err == nil {
			paths = append(paths, o.Dirs()...)
		}
	}
	var nodes []string
	for _, d := range s.Linux.Devices {
		nodes = append(nodes, d.Path)
	}
	for _, p := range paths {
		if _, known := h.Paths[p]; known {
			continue
		}
		info, err := os.Stat(p)
		switch {
		case err == nil:
			h.Paths[p] = info.Mode()
		case errors.Is(err, fs.ErrPermission):
			h.Denied[p] = denied(p, who)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	for p, mode := range h.Paths {
		if mode&fs.ModeDevice != 0 {
			nodes = append(nodes, p)
		}
	}
	for _, p := range nodes {
		if node, err := lookAtDevice(p); err == nil {
			h.Devices[p] = node.Node
		}
	}
	return nil
}

// denied says at which directory the way to a path ends for want of rights.
func denied(name, who string) string {
	var at *fs.PathError
	if _, err := filepath.EvalSymlinks(name); !errors.As(err, &at) {
		return who + " may not"
	}
	if dir := filepath.Dir(at.Path); unix.Access(dir, unix.X_OK) != nil {
		return fmt.Sprintf("%s can't search %q", who, dir)
	}
	return fmt.Sprintf("%s may not look at %q", who, at.Path) // another's FUSE file system
}

// openDir is a view of a directory. It is asked for names without symlinks
// only: what follows links stays inside by itself (inroot).
func openDir(path string) (fs.ReadLinkFS, error) {
	fsys, ok := os.DirFS(path).(fs.ReadLinkFS)
	if !ok {
		return nil, errors.New("os.DirFS can't read links")
	}
	return fsys, nil
}
