package runner

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// The standard devices and links of runtime-spec's "Default Devices" and
// "Dev symbolic links", as bubblewrap's --dev has them too.
var (
	deviceNodes = [...]string{"null", "zero", "full", "random", "urandom", "tty"}
	deviceLinks = [...][2]string{
		{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"},
	}
)

// dev makes a /dev: nodes are the host's, the pseudo terminals are new.
func (m *stageMounter) dev(o bwrap.Dev) error {
	const flags = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := m.mount(o.Dst, "tmpfs", flags|unix.MS_STRICTATIME, "mode=755,size=65536k"); err != nil {
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
	for _, name := range deviceNodes {
		fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o666)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		unix.Close(fd)
		if err := m.bind(bwrap.Bind{Src: "/dev/" + name, Dst: filepath.Join(o.Dst, name), Devices: true}); err != nil {
			return err
		}
	}
	pts := filepath.Join(o.Dst, "pts")
	const options = "newinstance,ptmxmode=0666,mode=0620"
	// Group 5 is tty by convention. A namespace that maps a single id has none.
	err = m.mount(pts, "devpts", flags, options+",gid=5")
	if err != nil {
		err = m.mount(pts, "devpts", flags, options)
	}
	if err != nil {
		return fmt.Errorf("pts: %w", err)
	}
	return nil
}
