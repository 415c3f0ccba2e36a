package runner

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// FindFuseOverlay finds fuse-overlayfs in the given PATH; "" where there is
// none, or no /dev/fuse for it.
func FindFuseOverlay(path string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, "fuse-overlayfs")
		if filepath.IsAbs(dir) && unix.Access(file, unix.X_OK) == nil && unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) == nil {
			return file
		}
	}
	return ""
}

// fuseOverlay has fuse-overlayfs mount what the kernel would not. It is a
// process in the stage's namespaces and ends with them: with the pid namespace
// that the stage process is the first of, or with the thread that is the
// stage.
func (m *stageMounter) fuseOverlay(o bwrap.Overlay, l layers) error {
	lower := slices.Clone(l.lower)
	slices.Reverse(lower)
	for i, dir := range lower {
		lower[i] = escapeOverlay(dir)
	}
	target := filepath.Join(m.root, o.Dst)
	said, err := memfd("said", nil)
	if err != nil {
		return err
	}
	defer said.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Env: []string{}, Files: []uintptr{null.Fd(), said.Fd(), said.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true}, // a terminal's signals are not for it
	}
	if m.thread {
		attr.Sys.Pdeathsig = syscall.SIGKILL
	}
	before, err := mountID(target)
	if err != nil {
		return err
	}
	reopen, err := closeOnExec()
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec(m.fuse, []string{
		"fuse-overlayfs", "-f", "-o", "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + escapeOverlay(l.upper) + ",workdir=" + escapeOverlay(l.work),
		"-o", "allow_other", target,
	}, attr)
	reopen()
	if err != nil {
		return fmt.Errorf("%s: %w", m.fuse, err)
	}
	if err := awaitFuse(pid, target, before, said); err != nil {
		return err
	}
	if m.thread {
		go syscall.Wait4(pid, nil, 0, nil)
	}
	fd, err := m.target(o.Dst)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	set := mountAttr(o.Attr)
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &set)
}

// closeOnExec keeps what is open from a program that is about to be started,
// and gives what undoes that.
func closeOnExec() (reopen func(), err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var open []int
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			open = append(open, fd)
		}
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, err
	}
	return func() {
		for _, fd := range open {
			unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
		}
	}, nil
}

// mountID tells mounts apart.
func mountID(path string) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return 0, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return st.Mnt_id, nil
}

// awaitFuse waits until the process has mounted something at the target,
// which was in another mount before.
func awaitFuse(pid int, target string, before uint64, said *os.File) error {
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(time.Millisecond) {
		if now, err := mountID(target); err == nil && now != before {
			return nil
		}
		var status syscall.WaitStatus
		if n, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err == nil && n == pid {
			text, _ := io.ReadAll(io.NewSectionReader(said, 0, 4096))
			return fmt.Errorf("fuse-overlayfs: %s", strings.Join(strings.Fields(string(text)), " "))
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	syscall.Wait4(pid, nil, 0, nil)
	return fmt.Errorf("fuse-overlayfs: has not mounted anything after 10 s")
}
