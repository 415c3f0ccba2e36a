package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Running is a sandbox that another process of the caller's has started.
type Running struct {
	record
	pidfd int
}

// Open finds the sandbox that the process pid belongs to: that of oci2bwrap
// run, or one of the sandbox's. It has to be the caller's own.
func Open(pid int) (*Running, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+strconv.Itoa(pid), &st); err != nil {
		return nil, &Error{Msg: fmt.Sprintf("no process %d", pid), Remedy: "ps shows the process of oci2bwrap run"}
	}
	holders := []int{pid}
	if isThisProgram(pid) {
		// In a user namespace of its own a run is the child of another.
		holders = append(holders, descendants(pid, 1)...)
	}
	for p := parentOf(pid); p > 1 && len(holders) < 64; p = parentOf(p) {
		holders = append(holders, p)
	}
	var foreign error
	for _, holder := range holders {
		r, err := readRecord(holder)
		if err == nil && r != nil {
			return r.open()
		}
		if err != nil && foreign == nil && holder == pid {
			foreign = err
		}
	}
	if foreign != nil {
		return nil, foreign
	}
	return nil, &Error{Msg: fmt.Sprintf("process %d is no sandbox of oci2bwrap", pid), Remedy: "name the process of oci2bwrap run, or the command in its sandbox"}
}

// readRecord reads the record that a process holds; nil where it holds none.
// What a sandbox's own process shows is not believed: it could name any
// process, and any rights.
func readRecord(pid int) (*record, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	if own, theirs := namespace("self", "pid"), namespace(strconv.Itoa(pid), "pid"); theirs != 0 && own != theirs {
		return nil, nil
	}
	if inSandboxGroup(pid) && !inSandboxGroup(os.Getpid()) {
		return nil, nil
	}
	if uid, err := effectiveUID(pid); err != nil || uid != os.Geteuid() && !isEntered(pid) {
		return nil, &Error{Msg: fmt.Sprintf("process %d belongs to uid %d", pid, uid), Remedy: "only its own user can enter a sandbox"}
	}
	entries, err := os.ReadDir(dir + "/fd")
	if errors.Is(err, os.ErrPermission) {
		return recordOfEntered(pid)
	}
	if err != nil {
		return nil, nil
	}
	for _, e := range entries {
		file := filepath.Join(dir, "fd", e.Name())
		if name, err := os.Readlink(file); err != nil || !strings.HasPrefix(name, "/memfd:"+recordName) {
			continue
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		return parseRecord(pid, f)
	}
	return nil, nil
}

// parseRecord reads a record and closes its file.
func parseRecord(pid int, f *os.File) (*record, error) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 16<<20))
	f.Close()
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("process %d: record of its sandbox: %w", pid, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("process %d: its oci2bwrap is of another version", pid)
	}
	return r, nil
}

// recordOfEntered is readRecord for a process of another uid, whose
// descriptors are not to be seen in /proc. Who has made its user namespace may
// have them all the same.
func recordOfEntered(pid int) (*record, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, nil
	}
	defer unix.Close(pidfd)
	const most = 256 // the record is among the first
	for n := 3; n < most; n++ {
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			continue
		}
		f := os.NewFile(uintptr(fd), recordName)
		name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if err == nil && strings.HasPrefix(name, "/memfd:"+recordName) {
			return parseRecord(pid, f)
		}
		f.Close()
	}
	return nil, nil
}

// isEntered says that the process is the caller's own though its uid is one
// of a user namespace's: this program, which this program has started as the
// caller and brought there (Enter).
func isEntered(pid int) bool {
	parent := parentOf(pid)
	uid, err := effectiveUID(parent)
	return err == nil && uid == os.Geteuid() && isThisProgram(parent) && isThisProgram(pid)
}

// open takes hold of the command, so that its number can't pass on.
func (r *record) open() (*Running, error) {
	gone := &Error{Msg: fmt.Sprintf("the sandbox's command, process %d, has ended", r.PID)}
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err != nil {
		return nil, gone
	}
	if start, err := startTime(r.PID); err != nil || start-r.Start+1 > 2 { // a tick is lost by rounding
		unix.Close(fd)
		return nil, gone
	}
	return &Running{record: *r, pidfd: fd}, nil
}

// Close lets go of the sandbox.
func (r *Running) Close() error { return unix.Close(r.pidfd) }

// Root is the sandbox's root as this process can reach it. What is below is
// the sandbox's own making: its links are not to be followed from outside.
func (r *Running) Root() string { return fmt.Sprintf("/proc/%d/root", r.PID) }

// Process gives what the command was started with, for another one.
func (r *Running) Process() ExecProcess {
	return ExecProcess{Env: texts(r.Init.Env), Cwd: string(r.Init.Cwd), UID: r.Init.UID, GID: r.Init.GID, Groups: r.Init.Groups}
}

// SingleID says that the sandbox has no user but its command's.
func (r *Running) SingleID() bool { return r.Init.KeepIDs }

func isThisProgram(pid int) bool {
	own, err := os.Readlink("/proc/self/exe")
	theirs, e := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return err == nil && e == nil && strings.TrimSuffix(own, " (deleted)") == strings.TrimSuffix(theirs, " (deleted)")
}

// descendants are the children of a process, and theirs, to the given depth.
func descendants(pid, depth int) []int {
	var out []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				continue
			}
			out = append(out, child)
			if depth > 1 {
				out = append(out, descendants(child, depth-1)...)
			}
		}
	}
	return out
}

// namespace gives the identity of a process's namespace, 0 where it can't be
// seen.
func namespace(pid, kind string) uint64 {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+pid+"/ns/"+kind, &st); err != nil {
		return 0
	}
	return st.Ino
}

func effectiveUID(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1, err
	}
	_, rest, ok := strings.Cut(string(data), "\nUid:\t")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return -1, errors.New("no uid")
	}
	return strconv.Atoi(fields[1])
}
