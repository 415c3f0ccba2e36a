package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// layers are the directories of an overlay about to be mounted.
type layers struct {
	lower       []string // lowest first
	upper, work string
	kept        bool // upper is a directory of the host's
	filled      bool // and has been one before: its points are made in the mount
}

// layers makes the upper and the work directory of an overlay: on the stage's
// tmpfs, on one of limited size, or in the directory that keeps the writes.
func (m *stageMounter) layers(o bwrap.Overlay) (layers, error) {
	l := layers{lower: o.Lower, upper: m.next("upper"), work: m.next("work")}
	switch {
	case o.Work != "":
		l.kept, l.filled, l.upper, l.work = true, true, o.Upper, o.Work
		return l, nil
	case o.Upper != "":
		l.kept, l.upper, l.work = true, filepath.Join(o.Upper, "upper"), filepath.Join(o.Upper, "work")
		if err := os.Mkdir(l.work, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return l, err
		}
		info, err := os.Lstat(l.upper)
		if err == nil && !info.IsDir() {
			return l, &fs.PathError{Op: "open", Path: l.upper, Err: unix.ENOTDIR}
		}
		l.filled = err == nil
		return l, nil
	case o.Size > 0:
		dir := m.next("layer")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return l, err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=0700,size=%d", o.Size)); err != nil {
			return l, fmt.Errorf("tmpfs of %d bytes: %w", o.Size, err)
		}
		l.upper, l.work = filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	}
	return l, os.Mkdir(l.work, 0o700)
}

// fill makes an upper layer that is new: it decides owner and mode of what it
// holds, so it repeats those of the directories below it.
func (l layers) fill(o bwrap.Overlay) error {
	if err := mirror(l.upper, l.lower, "."); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	if o.Owner != nil {
		if err := os.Lchown(l.upper, o.Owner.UID, o.Owner.GID); err != nil && !isUnmapped(err) {
			return err
		}
	}
	if err := os.Chmod(l.upper, o.Mode); err != nil {
		return err
	}
	for _, p := range o.Points {
		if err := makePoint(l.upper, o, p); err != nil {
			return fmt.Errorf("mount point %s: %w", p.Path, err)
		}
	}
	return nil
}

// points makes the mount points that an upper layer lacks which was filled by
// an earlier run. What it holds is the command's: nothing of it is followed,
// and whiteouts are the kernel's to see, so this is done in the mount.
func (m *stageMounter) points(o bwrap.Overlay) error {
	for _, p := range o.Points {
		var err error
		if p.File {
			err = m.touch(p.Path)
		} else {
			err = m.mkdir(bwrap.Dir{Dst: p.Path, Mode: 0o755})
		}
		if err != nil {
			return fmt.Errorf("mount point %s: %w", p.Path, err)
		}
	}
	return nil
}

// touch makes an empty file and the directories above it.
func (m *stageMounter) touch(dst string) error {
	if err := m.mkparent(dst); err != nil {
		return err
	}
	parent, name, err := m.parent(dst)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// short gives the layers names that fit what mount(2) takes of many: those of
// descriptors, which release closes after the mount.
func (l layers) short() (_ layers, release func(), err error) {
	length := 0
	for _, dir := range l.lower {
		length += len(dir) + 1
	}
	if length < mostOptions*3/4 {
		return l, func() {}, nil
	}
	var fds []int
	release = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	l.lower = slices.Clone(l.lower)
	for i, dir := range l.lower {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			release()
			return l, nil, &fs.PathError{Op: "open", Path: dir, Err: err}
		}
		fds = append(fds, fd)
		l.lower[i] = fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	return l, release, nil
}

// mostOptions is how long the options may be: mount(2) copies one page and cuts
// the rest off without a word.
const mostOptions = 4000

// options is what mount(2) is told.
func (l layers) options(userNamespace bool) (string, error) {
	lower := slices.Clone(l.lower)
	slices.Reverse(lower) // overlayfs wants the topmost first
	for i, dir := range lower {
		lower[i] = escapeOverlay(dir)
	}
	opts := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + escapeOverlay(l.upper) + ",workdir=" + escapeOverlay(l.work)
	switch {
	case userNamespace:
		opts += ",userxattr"
	case l.kept:
		// What is kept is to be read by itself, and not by what it points to
		// in the layers below.
		opts += ",redirect_dir=nofollow,metacopy=off"
	}
	if len(opts) > mostOptions {
		return "", &Error{
			Msg:    fmt.Sprintf("overlay: %d layers make an option string of %d bytes, more than mount(2) takes", len(lower), len(opts)),
			Remedy: "oci2bwrap export writes an image of them that is unpacked into one directory",
		}
	}
	return opts, nil
}

// explain tells why the kernel may have refused the overlay.
func (l layers) explain(err error) error {
	on := func(dir string) string {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) != nil {
			return ""
		}
		return unlayered[uint32(st.Type)]
	}
	if kind := on(l.upper); l.kept && kind != "" {
		return fmt.Errorf("overlay: %s lies on %s, which %s: %w", filepath.Dir(l.upper), kind, noUpper, err)
	}
	if err == unix.EINVAL && l.apart() {
		return fmt.Errorf("overlay: %s and %s have to be on one file system, and neither in the other: %w", l.upper, l.work, err)
	}
	if err == unix.EINVAL || err == unix.ELOOP {
		for _, dir := range l.lower {
			if on(dir) == "an overlay" {
				return fmt.Errorf("overlay: %s is on an overlay itself, and overlays %s: %w", dir, tooDeep, err)
			}
			// In a user namespace mounts can't be parted from what is mounted in
			// them, and an overlay shows nothing of that.
			if below := MountBelow(dir); below != "" {
				return fmt.Errorf("overlay: %s %s, %s: %w", dir, hasMounts, below, err)
			}
		}
	}
	return fmt.Errorf("overlay: %w", err)
}

// apart says that the upper layer and the work directory do not go together.
func (l layers) apart() bool {
	var upper, work unix.Stat_t
	if unix.Stat(l.upper, &upper) != nil || unix.Stat(l.work, &work) != nil {
		return false
	}
	return upper.Dev != work.Dev || strings.HasPrefix(l.upper+"/", l.work+"/") || strings.HasPrefix(l.work+"/", l.upper+"/")
}

// Parts of messages by which remedy knows them.
const (
	noUpper   = "can't hold an overlay's upper layer"
	tooDeep   = "can't be stacked any higher"
	hasMounts = "has something else mounted in it"
)

// MountBelow gives the first mount point in dir that this process sees, "" for
// none. An overlay of dir shows nothing of what is mounted there.
func MountBelow(dir string) string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 4 && f[4] != dir && strings.HasPrefix(f[4], strings.TrimSuffix(dir, "/")+"/") {
			return f[4]
		}
	}
	return ""
}

// unlayered are the file systems on which an upper layer may not be had.
var unlayered = map[uint32]string{
	unix.OVERLAYFS_SUPER_MAGIC: "an overlay", unix.TMPFS_MAGIC: "a tmpfs", unix.NFS_SUPER_MAGIC: "NFS", unix.FUSE_SUPER_MAGIC: "a FUSE file system",
	unix.MSDOS_SUPER_MAGIC: "FAT", unix.V9FS_MAGIC: "9p", unix.SMB2_SUPER_MAGIC: "SMB",
}
