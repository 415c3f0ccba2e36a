package bwrap

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Check reports every fault that would make bubblewrap do something else than
// the plan says: a destination that is not absolute and clean, a NUL byte
// (arguments travel separated by NUL), a mount point outside of its overlay,
// a process without arguments.
func (p *Plan) Check() error {
	var errs []error
	for i, s := range p.Steps {
		if dst := s.Op.Dest(); !clean(dst) {
			errs = append(errs, fmt.Errorf("mounts[%d]: destination %q is not absolute and clean", i, dst))
		}
		for _, source := range sources(s.Op) {
			if !clean(source) {
				errs = append(errs, fmt.Errorf("mounts[%d]: source %q is not absolute and clean", i, source))
			}
		}
		switch o := s.Op.(type) {
		case Closure:
			for _, p := range o.Paths {
				if p.Name == "" || p.Name == "." || p.Name == ".." || strings.ContainsAny(p.Name, "/\x00") || strings.ContainsRune(p.Link, 0) {
					errs = append(errs, fmt.Errorf("mounts[%d]: %q can't be an entry of %q", i, p.Name, o.Dst))
				}
			}
		case Overlay:
			for _, point := range o.Points {
				if !clean(point.Path) || point.Path == o.Dst || !within(point.Path, o.Dst) {
					errs = append(errs, fmt.Errorf("mounts[%d]: mount point %q is not clean and below %q", i, point.Path, o.Dst))
				}
			}
		case Symlink:
			if o.Target == "" || strings.ContainsRune(o.Target, 0) {
				errs = append(errs, fmt.Errorf("mounts[%d]: %q: target %q can't be one of a symlink", i, o.Dst, o.Target))
			}
		}
	}
	if len(p.Process.Args) == 0 {
		errs = append(errs, errors.New("process.args: empty"))
	}
	if !clean(p.Process.Cwd) {
		errs = append(errs, fmt.Errorf("process.cwd: %q is not absolute and clean", p.Process.Cwd))
	}
	for _, s := range p.Sysctl {
		if !clean("/"+s.Path) || s.Path == "" {
			errs = append(errs, fmt.Errorf("sysctl: path %q is not relative and clean", s.Path))
		}
	}
	for _, list := range [][]string{p.Process.Args, p.Process.Env, {p.Namespaces.Hostname}} {
		for _, s := range list {
			if strings.ContainsRune(s, 0) {
				errs = append(errs, fmt.Errorf("process: NUL byte in %q", s))
			}
		}
	}
	for _, e := range p.Process.Env {
		if strings.IndexByte(e, '=') < 1 {
			errs = append(errs, fmt.Errorf("process.env: %q is not NAME=VALUE", e))
		}
	}
	if s := p.Process.Seccomp; s != nil && (len(s.BPF) == 0 || len(s.BPF)%8 != 0) {
		errs = append(errs, fmt.Errorf("process.seccomp: %d bytes are no filter", len(s.BPF)))
	}
	if _, err := CapMask(p.Process.Capabilities.Bounding); err != nil {
		errs = append(errs, fmt.Errorf("process.capabilities.bounding: %w", err))
	}
	return errors.Join(errs...)
}

func sources(op Op) []string {
	switch o := op.(type) {
	case Bind:
		return []string{o.Src}
	case Overlay:
		dirs := slices.Clone(o.Lower)
		for _, dir := range []string{o.Upper, o.Work} {
			if dir != "" {
				dirs = append(dirs, dir)
			}
		}
		return dirs
	case Closure:
		paths := make([]string, len(o.Paths))
		for i, p := range o.Paths {
			paths[i] = p.Src
		}
		return paths
	}
	return nil
}

func clean(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsRune(p, 0)
}

// within says whether the clean path name is dir or lies below it.
func within(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}
