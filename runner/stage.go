package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// mountStage makes what the stage describes in the mount namespace of the
// calling thread, which must be a private one; thread says that this ends with
// the thread, and else with the process. handed is a descriptor of the
// mounts that are handed to the init, -1 for none. trees are those of the binds
// with an IDMap.
func mountStage(s *bwrap.Stage, userNamespace, thread bool, trees []*Tree) (handed int, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return -1, fmt.Errorf("stage: make / a slave: %w", err)
	}
	if err := unix.Mount("tmpfs", s.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return -1, fmt.Errorf("stage: tmpfs on %s: %w", s.Dir, err)
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	m := stageMounter{dir: s.Dir, root: s.Root(), userNamespace: userNamespace, thread: thread, fuse: s.FuseOverlay, handed: s.Handed, trees: trees}
	if err := os.Mkdir(m.root, 0o755); err != nil {
		return -1, fmt.Errorf("stage: %w", err)
	}
	if err := m.all(s.Ops); err != nil {
		return -1, fmt.Errorf("stage: %w", err)
	}
	if handed, err = m.handOn(); err != nil {
		return -1, fmt.Errorf("stage: %w", err)
	}
	return handed, nil
}

// mountLate carries out, inside the sandbox, what had to wait for
// bubblewrap's own mounts.
func mountLate(late []wireOp) error {
	ops, err := unwireOps(late)
	if err != nil {
		return err
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	m := stageMounter{root: "/"}
	return m.all(ops)
}

func (m *stageMounter) all(ops []bwrap.Op) error {
	for _, op := range ops {
		if err := m.do(op); err != nil {
			return fmt.Errorf("%s: %w", op.Dest(), err)
		}
	}
	return nil
}

// stageMounter carries operations out below root.
type stageMounter struct {
	dir, root     string
	userNamespace bool
	thread        bool   // as for mountStage
	fuse          string // fuse-overlayfs, "" where there is none
	handed        string // see bwrap.Stage
	handedRoot    string // where that is mounted until it is handed on
	trees         []*Tree
	n             int // of files and layers made so far
}

func (m *stageMounter) do(op bwrap.Op) error {
	switch o := op.(type) {
	case bwrap.Bind:
		return m.bind(o)
	case bwrap.Tmpfs:
		return m.tmpfs(o)
	case bwrap.Overlay:
		return m.overlay(o)
	case bwrap.File:
		return m.file(o)
	case bwrap.Dev:
		return m.dev(o)
	case bwrap.Dir:
		return m.mkdir(o)
	case bwrap.Proc:
		return m.mount(o.Dst, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	case bwrap.Mqueue:
		return m.mount(o.Dst, "mqueue", mountFlags(o.Attr), "")
	case bwrap.Sysfs:
		return m.sysfs(o)
	case bwrap.Cgroup:
		return m.cgroup(o)
	case bwrap.Node:
		return m.node(o)
	case bwrap.Closure:
		return m.closure(o)
	case bwrap.Symlink:
		return m.symlink(o)
	case bwrap.RemountRO:
		return m.remountRO(o)
	}
	return fmt.Errorf("no operation of the stage: %T", op)
}

// next is a fresh name on the stage's own tmpfs, outside of root.
func (m *stageMounter) next(kind string) string {
	m.n++
	return filepath.Join(m.dir, kind+strconv.Itoa(m.n))
}

// target opens the destination, which must exist and cross no symlink.
// Between plan and stage nobody else can have changed what is below root; the
// kernel holds us to it all the same.
func (m *stageMounter) target(dst string) (int, error) {
	at := m.root
	if rest, ok := strings.CutPrefix(dst, m.handed); ok && m.handedRoot != "" && (rest == "" || rest[0] == '/') {
		at, dst = m.handedRoot, "/"+strings.TrimPrefix(rest, "/")
	}
	root, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil || dst == "/" {
		return root, err
	}
	defer unix.Close(root)
	return unix.Openat2(root, "."+dst, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// parent opens the directory that the destination lies in.
func (m *stageMounter) parent(dst string) (fd int, name string, err error) {
	fd, err = m.target(filepath.Dir(dst))
	return fd, filepath.Base(dst), err
}

// mount mounts a file system at the destination.
func (m *stageMounter) mount(dst, kind string, flags uintptr, options string) error {
	fd, err := m.target(dst)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Mount(kind, "/proc/self/fd/"+strconv.Itoa(fd), kind, flags, options)
}

func (m *stageMounter) tmpfs(o bwrap.Tmpfs) error {
	opts := []string{fmt.Sprintf("mode=%04o", bwrap.UnixMode(o.Mode))}
	if o.UID != 0 || o.GID != 0 {
		// Without these it belongs to whoever mounts it, which is 0 where 0
		// is mapped.
		opts = append(opts, fmt.Sprintf("uid=%d,gid=%d", o.UID, o.GID))
	}
	if o.Size > 0 {
		opts = append(opts, "size="+strconv.FormatInt(o.Size, 10))
	}
	data := strings.Join(append(opts, o.Data...), ",")
	if err := m.mount(o.Dst, "tmpfs", mountFlags(o.Attr), data); err != nil {
		return fmt.Errorf("tmpfs (%s): %w", data, err)
	}
	return nil
}

// file binds a file of the stage's tmpfs.
func (m *stageMounter) file(o bwrap.File) error {
	src := m.next("file")
	if err := os.WriteFile(src, o.Data, o.Mode.Perm()); err != nil {
		return err
	}
	return m.bind(bwrap.Bind{Src: src, Dst: o.Dst, ReadOnly: o.ReadOnly, Attr: o.Attr})
}

func (m *stageMounter) mkdir(o bwrap.Dir) error {
	if err := m.mkparent(o.Dst); err != nil {
		return err
	}
	parent, name, err := m.parent(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	err = unix.Mkdirat(parent, name, bwrap.UnixMode(o.Mode))
	if err != nil && err != unix.EEXIST {
		return fmt.Errorf("mkdir: %w", err)
	}
	if err != nil || o.UID == 0 && o.GID == 0 {
		return nil
	}
	if err := unix.Fchownat(parent, name, o.UID, o.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil && !isUnmapped(err) {
		return fmt.Errorf("chown: %w", err)
	}
	return unix.Fchmodat(parent, name, bwrap.UnixMode(o.Mode), 0) // chown takes set-id bits
}

// mkparent makes the directories above dst: a plan names only the last of
// several missing ones.
func (m *stageMounter) mkparent(dst string) error {
	dir := filepath.Dir(dst)
	fd, err := m.target(dir)
	if err == unix.ENOENT {
		return m.mkdir(bwrap.Dir{Dst: dir, Mode: 0o755})
	}
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func (m *stageMounter) symlink(o bwrap.Symlink) error {
	parent, name, err := m.parent(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Symlinkat(o.Target, parent, name)
}

func (m *stageMounter) remountRO(o bwrap.RemountRO) error {
	fd, err := m.target(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr)
}
