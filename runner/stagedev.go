package runner

import (
	"cmp"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// The standard devices and links of runtime-spec's "Default Devices" and
// "Dev symbolic links", as bubblewrap's --dev has them too.
var (
	deviceNames = [...]string{"null", "zero", "full", "random", "urandom", "tty"}
	deviceLinks = [...][2]string{
		{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"},
	}
)

// dev makes a /dev: nodes are the host's, the pseudo terminals are new.
func (m *stageMounter) dev(o bwrap.Dev) error {
	data := fmt.Sprintf("mode=%o,size=%d", bwrap.UnixMode(cmp.Or(o.Mode, 0o755)), cmp.Or(o.Size, 64<<20))
	if err := m.mount(o.Dst, "tmpfs", mountFlags(o.Attr|bwrap.Device), data); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	dir, err := m.target(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, link := range deviceLinks {
		if err := unix.Symlinkat(link[0], dir, link[1]); err != nil {
			return fmt.Errorf("%s: %w", link[1], err)
		}
	}
	for _, name := range []string{"pts", "shm", "mqueue"} {
		if err := unix.Mkdirat(dir, name, 0o755); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range deviceNames {
		if err := m.usual(dir, o.Dst, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := m.pts(filepath.Join(o.Dst, "pts"), o.Pts); err != nil {
		return fmt.Errorf("pts: %w", err)
	}
	return nil
}

func (m *stageMounter) pts(dst string, o bwrap.Pts) error {
	flags := mountFlags(o.Attr | bwrap.Device)
	data := fmt.Sprintf("newinstance,ptmxmode=%04o,mode=%04o", bwrap.UnixMode(cmp.Or(o.PtmxMode, 0o666)), bwrap.UnixMode(cmp.Or(o.Mode, 0o620)))
	if o.GID != 0 && m.mount(dst, "devpts", flags, fmt.Sprintf("%s,gid=%d", data, o.GID)) == nil {
		return nil
	}
	return m.mount(dst, "devpts", flags, data) // without a group that the namespace does not map
}

// usual makes one of the standard devices: a node of its own where the kernel
// allows it, else the host's.
func (m *stageMounter) usual(dir int, dev, name string) error {
	src := "/dev/" + name
	var st unix.Stat_t
	if err := unix.Stat(src, &st); err != nil {
		return err
	}
	if !m.userNamespace && unix.Mknodat(dir, name, unix.S_IFCHR|0o666, int(st.Rdev)) == nil {
		return nil
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return m.bind(bwrap.Bind{Src: src, Dst: filepath.Join(dev, name), Devices: true})
}

// node makes a device node or fifo, and the directories above it.
func (m *stageMounter) node(o bwrap.Node) error {
	kind, ok := map[byte]uint32{'c': unix.S_IFCHR, 'b': unix.S_IFBLK, 'p': unix.S_IFIFO}[o.Kind]
	if !ok {
		return fmt.Errorf("no kind of device: %q", o.Kind)
	}
	if err := m.mkparent(o.Dst); err != nil {
		return err
	}
	parent, name, err := m.parent(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if err := unix.Mknodat(parent, name, kind|bwrap.UnixMode(o.Mode), int(unix.Mkdev(o.Major, o.Minor))); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return unix.Fchownat(parent, name, o.UID, o.GID, unix.AT_SYMLINK_NOFOLLOW)
}
