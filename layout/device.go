package layout

import (
	"archive/tar"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// node makes a fifo or device node.
func (a *applier) node(parent *dir, base string, kind uint32, dev uint64, m meta) error {
	err := a.replace(parent, base, func(dirfd int) error {
		if err := unix.Mknodat(dirfd, base, kind|0o600, int(dev)); err != nil {
			return err
		}
		if err := a.settle(dirfd, base, m); err != nil {
			return err
		}
		return chmodat(dirfd, base, m.mode)
	})
	if err == nil {
		a.record.node(parent, base, m, kind, dev)
	}
	return err
}

// device makes a device node if that is wanted and allowed, and otherwise
// notes that it is missing.
func (a *applier) device(parent *dir, base, name string, hdr *tar.Header, m meta) error {
	// As the kernel's dev_t has it: 12 bits of major, 20 of minor.
	if hdr.Devmajor < 0 || hdr.Devmajor >= 1<<12 || hdr.Devminor < 0 || hdr.Devminor >= 1<<20 {
		return fmt.Errorf("device number %d:%d is out of range", hdr.Devmajor, hdr.Devminor)
	}
	kind, what := uint32(unix.S_IFCHR), "character"
	if hdr.Typeflag == tar.TypeBlock {
		kind, what = unix.S_IFBLK, "block"
	}
	what = fmt.Sprintf("%s device %d:%d", what, hdr.Devmajor, hdr.Devminor)
	if !a.o.Devices {
		return a.leaveOut(parent, base, name, what, "device nodes are not made")
	}
	if kind == unix.S_IFCHR && hdr.Devmajor == 0 && hdr.Devminor == 0 {
		return a.leaveOut(parent, base, name, what, "overlayfs would take it for a whiteout")
	}
	err := a.node(parent, base, kind, unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor)), m)
	if errors.Is(err, unix.EPERM) {
		return a.leaveOut(parent, base, name, what, err.Error())
	}
	return err
}

// leaveOut removes what an entry would replace, and notes that the entry
// itself was not made.
func (a *applier) leaveOut(parent *dir, base, name, what, why string) error {
	if err := a.remove(parent, base); err != nil {
		return err
	}
	a.mark(parent, base)
	a.skipped[place{parent, base}] = true
	a.record.absent(parent, base)
	a.skip(name, what, why)
	return nil
}

func (a *applier) skip(path, what, why string) {
	s := Skipped{Path: path, What: what, Why: why}
	a.record.skip(s)
	if a.o.OnSkip != nil {
		a.o.OnSkip(s)
	}
}
