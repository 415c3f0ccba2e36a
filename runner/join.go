package runner

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// joinKinds are the namespaces that can be joined. A thread can enter all by
// itself but that of processes, which is bubblewrap's to enter.
var joinKinds = map[string]int{
	"network": unix.CLONE_NEWNET, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP,
	"pid": unix.CLONE_NEWPID, "user": unix.CLONE_NEWUSER, "time": unix.CLONE_NEWTIME,
}

// remedyJoinPID is for a pid namespace that can't be joined.
const remedyJoinPID = "a process has to live in it, and it has to be oci2bwrap's own or one below that"

// joined gives the namespace of the kind that is to be joined, nil for none.
func joined(joins []bwrap.Join, kind string) *bwrap.Join {
	for i := range joins {
		if joins[i].Kind == kind {
			return &joins[i]
		}
	}
	return nil
}

// openNamespace opens the namespace, which has to be one of its kind.
func openNamespace(j bwrap.Join) (*os.File, error) {
	f, err := openKind(j.Path, j.Kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Field, err)
	}
	return f, nil
}

// openKind opens a namespace of the kind. What is none is not opened: a pipe would
// wait for its writer, and a device may do as it likes.
func openKind(path, kind string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	none := fmt.Errorf("%q is no %s namespace", path, kind)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.NSFS_MAGIC {
		return nil, none
	}
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: errors.Unwrap(err)}
	}
	if got, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || got != joinKinds[kind] {
		f.Close()
		return nil, none
	}
	return f, nil
}

// join enters the namespaces with the calling thread: bubblewrap is born in
// them. All are opened before one is entered. That of processes is bubblewrap's
// to enter.
func join(joins []bwrap.Join) error {
	joins = slices.DeleteFunc(slices.Clone(joins), func(j bwrap.Join) bool { return j.Kind == "pid" || j.Inside })
	files := make([]*os.File, len(joins))
	for i, j := range joins {
		f, err := openNamespace(j)
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
	}
	for i, j := range joins {
		if err := unix.Setns(int(files[i].Fd()), joinKinds[j.Kind]); err != nil {
			return &Error{Msg: fmt.Sprintf("%s: join %q", j.Field, j.Path), Err: err, Remedy: joinRemedy(j.Kind, err)}
		}
	}
	return nil
}
