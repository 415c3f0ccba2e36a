package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// FindCgroup gives the directory of the lowest control group of version 2
// above or at the caller's in which the caller may make another one that has
// the controllers, or most of them. lacking says of the others why it has not.
// The error says why there is none.
func FindCgroup(controllers []string) (dir string, lacking map[string]string, err error) {
	top, own, err := ownCgroup()
	if err != nil {
		return "", nil, err
	}
	for at := own; strings.HasPrefix(at, top); at = filepath.Dir(at) {
		if unix.Access(at, unix.W_OK|unix.X_OK) == nil && unix.Access(filepath.Join(at, "cgroup.procs"), unix.W_OK) == nil {
			if not := enable(at, controllers); dir == "" || len(not) < len(lacking) {
				dir, lacking = at, not
			}
		}
		if at == top || dir != "" && len(lacking) == 0 {
			break
		}
	}
	if dir == "" {
		return "", nil, errors.New("its control group is not delegated to the caller")
	}
	return dir, lacking, nil
}

// enable gives the groups below dir the controllers, and says of each that it
// can't give why not.
func enable(dir string, controllers []string) map[string]string {
	words := func(file string) []string {
		data, _ := os.ReadFile(filepath.Join(dir, file))
		return strings.Fields(string(data))
	}
	has, on := words("cgroup.controllers"), words("cgroup.subtree_control")
	lacking := map[string]string{}
	for _, c := range controllers {
		if !slices.Contains(has, c) {
			lacking[c] = fmt.Sprintf("%s has no controller %q of cgroup v2", dir, c)
			continue
		}
		if slices.Contains(on, c) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			lacking[c] = fmt.Sprintf("controller %q: %v", c, err)
		}
	}
	return lacking
}

// ownCgroup finds where cgroup2 is mounted and the caller's group below it.
func ownCgroup() (top, own string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	path := ""
	for line := range strings.Lines(string(groups)) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path = p
		}
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if len(f) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		rel, err := filepath.Rel(f[3], path)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			top = f[4]
			return top, filepath.Join(top, rel), nil
		}
	}
	return "", "", errors.New("cgroup v2 is not mounted")
}

const cgroupPrefix = "oci2bwrap-"

// heldWord is in the name of a group by which alone its processes are ended.
// Who does that has a lock on it, which goes with the last of them.
const heldWord = "held"

// makeCgroup makes the sandbox's control group and opens it, held or not. What
// earlier runs that were killed have left beside it is removed.
func makeCgroup(c *bwrap.CgroupLimits, held bool) (_ *os.File, err error) {
	sweepCgroups(c.Parent)
	name := cgroupPrefix + strconv.Itoa(os.Getpid()) + "-"
	if held {
		name += heldWord
	}
	dir, err := os.MkdirTemp(c.Parent, name)
	if err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(dir)
		}
	}()
	for _, f := range c.Files {
		if strings.ContainsRune(f.Name, '/') {
			return nil, fmt.Errorf("%s: %q is no file of a control group", f.Field, f.Name)
		}
		file, err := os.OpenFile(filepath.Join(dir, f.Name), os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString(f.Value)
			file.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %q: %w", f.Field, f.Name, f.Value, errors.Unwrap(err))
		}
	}
	group, err := os.Open(dir)
	if err == nil && held {
		if err = unix.Flock(int(group.Fd()), unix.LOCK_SH); err != nil {
			group.Close()
			return nil, fmt.Errorf("lock the control group: %w", err)
		}
	}
	return group, err
}

// enterCgroup moves a process into the control group dir; "" is none.
func enterCgroup(dir string, pid int) error {
	if dir == "" {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(strconv.Itoa(pid))
		file.Close()
	}
	if err == nil {
		return nil
	}
	failure := &Error{Msg: fmt.Sprintf("enter the sandbox's control group %s", dir), Err: errors.Unwrap(err)}
	if errors.Is(err, os.ErrPermission) {
		failure.Remedy = "start it in a control group that is delegated together with the sandbox's: systemd-run --user --scope oci2bwrap exec …"
	}
	return failure
}

// sweepCgroups removes groups whose maker is gone. One with processes in it
// can't be removed, but what is held by nobody any more is ended.
func sweepCgroups(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, ok := groupMaker(e.Name())
		if !ok {
			continue
		}
		// One that has not been waited for runs no program any more.
		if _, err := os.Readlink("/proc/" + pid + "/exe"); errors.Is(err, os.ErrNotExist) {
			dir := filepath.Join(parent, e.Name())
			if os.Remove(dir) != nil && strings.HasPrefix(e.Name(), cgroupPrefix+pid+"-"+heldWord) {
				endAbandoned(dir)
			}
		}
	}
}

// groupMaker tells the process id of the oci2bwrap whose sandbox's group has
// the name. A unit of systemd's, oci2bwrap-web.service, is none.
func groupMaker(name string) (pid string, ok bool) {
	rest, ok := strings.CutPrefix(name, cgroupPrefix)
	if !ok {
		return "", false
	}
	pid, _, ok = strings.Cut(rest, "-")
	_, err := strconv.Atoi(pid)
	return pid, ok && err == nil
}

// removeCgroup removes the group once its last process is gone for the kernel
// too, which is a moment after it has been waited for, on a busy machine a longer
// one.
func removeCgroup(dir *os.File) {
	if dir == nil {
		return
	}
	defer dir.Close()
	for range 2000 {
		if err := unix.Rmdir(dir.Name()); err != unix.EBUSY {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
