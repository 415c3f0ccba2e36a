package layout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// entry compares what is at a name.
func (v *verifier) entry(dirfd int, name, path string, n *node) error {
	var st unix.Stat_t
	switch err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case errors.Is(err, unix.EACCES):
		return nil // by the mode of the directory, which has been compared
	case err != nil:
		v.report(path, err.Error())
		return nil
	}
	want := map[byte]uint32{recDir: unix.S_IFDIR, recFile: unix.S_IFREG, recSymlink: unix.S_IFLNK, recNode: n.typ}[n.kind]
	if got := st.Mode & unix.S_IFMT; got != want {
		v.differs(path, "type", typeName(got), typeName(want))
		return nil
	}
	if n.kind == recDir {
		return v.dir(dirfd, name, path, n)
	}
	v.meta(path, &st, n)
	switch n.kind {
	case recSymlink:
		if got, err := readlinkat(dirfd, name); err != nil || got != n.target {
			v.differs(path, "target", quote(got), quote(n.target))
		}
	case recNode:
		if uint64(st.Rdev) != n.dev {
			v.differs(path, "device", st.Rdev, n.dev)
		}
	case recFile:
		return v.file(dirfd, name, path, &st, n)
	}
	return nil
}

func typeName(kind uint32) string {
	switch kind {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFREG:
		return "file"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFIFO:
		return "fifo"
	}
	return "device or socket"
}

// meta compares what stat tells. File systems differ in how finely they keep
// times, and in which.
func (v *verifier) meta(path string, st *unix.Stat_t, n *node) {
	if got := st.Mode & 0o7777; n.kind != recSymlink && got != n.meta.mode {
		v.differs(path, "mode", fmt.Sprintf("%04o", got), fmt.Sprintf("%04o", n.meta.mode))
	}
	if uid, gid := v.owners.here(n.meta.uid, n.meta.gid); int(st.Uid) != uid || int(st.Gid) != gid {
		v.differs(path, "owner", fmt.Sprintf("%d:%d", st.Uid, st.Gid), fmt.Sprintf("%d:%d", uid, gid))
	}
	const last = 1<<31 - 1
	if want := n.meta.mtime.Sec; want >= 0 && want <= last && st.Mtim.Sec != want {
		v.differs(path, "mtime", st.Mtim.Sec, want)
	}
}

// file compares a file's content and attributes.
func (v *verifier) file(dirfd int, name, path string, st *unix.Stat_t, n *node) error {
	if st.Size != n.size {
		v.differs(path, "size", st.Size, n.size)
		return nil
	}
	fd, err := openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) && n.meta.mode&0o400 == 0 {
		return nil
	}
	if err != nil {
		v.report(path, err.Error())
		return nil
	}
	f := blobFile(fd)
	defer f.Close()
	v.xattrs(fd, path, n)
	sum, r := uint32(0), v.count.reader(f)
	for {
		if err := v.ctx.Err(); err != nil {
			return context.Cause(v.ctx)
		}
		n, err := r.Read(v.buf)
		sum = checksum(sum, v.buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			v.report(path, err.Error())
			return nil
		}
	}
	if sum != n.sum {
		v.report(path, "content differs")
	}
	return nil
}

// xattrs compares the attributes that an image can set.
func (v *verifier) xattrs(fd int, path string, n *node) {
	size, err := unix.Flistxattr(fd, v.buf)
	if err != nil {
		size = 0 // not supported: nothing was set
	}
	got := map[string][]byte{}
	for name := range strings.SplitSeq(string(v.buf[:size]), "\x00") {
		if strings.HasPrefix(name, "user.") || name == capability {
			got[name] = nil
		}
	}
	value := make([]byte, 64<<10)
	if len(got) == 0 && len(n.xattrs) == 0 {
		return
	}
	for name := range got {
		if size, err := unix.Fgetxattr(fd, name, value); err == nil {
			got[name] = bytes.Clone(value[:size])
		}
	}
	for _, x := range n.xattrs {
		have, ok := got[x.name]
		if !ok {
			v.report(path, "extended attribute "+quote(x.name)+" is missing")
		} else if !bytes.Equal(have, x.value) && !(x.name == capability && sameCaps(have, x.value)) {
			v.report(path, "extended attribute "+quote(x.name)+" differs")
		}
		delete(got, x.name)
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		v.report(path, "extended attribute "+quote(name)+" was added")
	}
}
