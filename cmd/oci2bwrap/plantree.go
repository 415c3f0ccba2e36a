package main

import (
	"fmt"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// mounts writes the steps as a tree, each below the mount that it lies in.
func (t planPrinter) mounts() {
	fmt.Fprintln(t.w, "\nmounts")
	steps := t.planned.Plan.Steps
	readOnly := map[string]bool{}
	for _, s := range steps {
		if o, ok := s.Op.(bwrap.RemountRO); ok {
			readOnly[o.Dst] = true
		}
	}
	var open []string // the mounts around the current step
	for i, s := range steps {
		dst := s.Op.Dest()
		if _, ok := s.Op.(bwrap.RemountRO); ok || isMountPoint(steps, i) {
			continue
		}
		for len(open) > 0 && !inside(dst, open[len(open)-1]) {
			open = open[:len(open)-1]
		}
		text := t.describe(s.Op)
		if readOnly[dst] {
			text += ", read-only"
		}
		name := strings.Repeat("  ", len(open)+1) + dst
		fmt.Fprintf(t.w, "%-30s %-44s # %s\n", printable(name), printable(text), printable(s.Why))
		if o, ok := s.Op.(bwrap.Overlay); ok && len(o.Points) > 0 {
			made := make([]string, len(o.Points))
			for i, p := range o.Points {
				made[i] = p.Path
			}
			fmt.Fprintf(t.w, "%s(not in the image: %s)\n", strings.Repeat("  ", len(open)+2), printable(strings.Join(made, " ")))
		}
		open = append(open, dst)
	}
}

// isMountPoint says whether the step only makes the directory that a later
// one mounts on.
func isMountPoint(steps []bwrap.Step, i int) bool {
	dir, ok := steps[i].Op.(bwrap.Dir)
	if !ok {
		return false
	}
	for _, s := range steps[i+1:] {
		if s.Op.Dest() == dir.Dst {
			return true
		}
	}
	return false
}

func inside(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// describe says what a step does, in a few words.
func (t planPrinter) describe(op bwrap.Op) string {
	switch o := op.(type) {
	case bwrap.Bind:
		return t.source(o.Src) + map[bool]string{true: ", read-only"}[o.ReadOnly] + idMapWords(o.IDMap)
	case bwrap.Tmpfs:
		text := fmt.Sprintf("empty, mode %04o", bwrap.UnixMode(o.Mode))
		if o.UID != 0 || o.GID != 0 {
			text += fmt.Sprintf(", owner %d:%d", o.UID, o.GID)
		}
		if o.Size > 0 {
			text += fmt.Sprintf(", at most %d KiB", o.Size>>10)
		}
		return text
	case bwrap.Overlay:
		from := make([]string, len(o.Lower))
		for i, l := range o.Lower {
			from[i] = t.source(l)
		}
		text := strings.Join(from, " + ")
		if o.Merged {
			text = "the image's " + o.Dst
		}
		switch {
		case o.Upper != "":
			text += ", writes are kept in " + o.Upper
		case o.Dst != "/" || !t.result.Spec.Root.Readonly:
			text += ", writes vanish"
		}
		return text
	case bwrap.Closure:
		return fmt.Sprintf("%d store paths, read-only", len(o.Paths))
	case bwrap.Dir:
		return "directory"
	case bwrap.File:
		return fmt.Sprintf("file of %d bytes", len(o.Data)) + map[bool]string{true: ", read-only"}[o.ReadOnly]
	case bwrap.Symlink:
		return "-> " + o.Target
	case bwrap.Proc:
		return "procfs"
	case bwrap.Dev:
		return "standard devices"
	case bwrap.Sysfs:
		return "sysfs of the sandbox's own" + map[bool]string{true: ", read-only"}[o.ReadOnly]
	case bwrap.Cgroup:
		return "the sandbox's own control groups" + map[bool]string{true: ", read-only"}[o.ReadOnly]
	case bwrap.Node:
		return fmt.Sprintf("device %c %d:%d, mode %04o", o.Kind, o.Major, o.Minor, bwrap.UnixMode(o.Mode))
	case bwrap.Mqueue:
		return "message queues"
	}
	return ""
}

// source names a host path, and what lies in the unpacked image as that.
func (t planPrinter) source(path string) string {
	for _, dir := range t.rootfs.Dirs {
		if path == dir {
			return "the image"
		}
		if rest, ok := strings.CutPrefix(path, dir); ok && rest[0] == '/' {
			return "the image's " + rest
		}
	}
	return path
}
