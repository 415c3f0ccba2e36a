package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// recordName is the name of the file in memory by which a run can be known: it
// is open in the process that looks after a sandbox, and nowhere on a disk.
const recordName = "oci2bwrap-run"

// recordVersion rises when a field of the record changes its meaning.
const recordVersion = 1

// record is what another process needs to know of a sandbox to enter it.
type record struct {
	Version int
	PID     int    // of the command
	Start   uint64 // when it was started, in the kernel's ticks: with PID it is no other
	Init    initSpec
	Limits  []rlimit // of the sandbox's processes, where Init sets none
	Cgroup  exact    // the directory of its control group, "" for none of its own
}

// Running is the sandbox as another process finds it.
func (s *Sandbox) Running() (*Running, error) { return s.describe().open() }

// keepRecord has the record open as long as the sandbox is.
func (s *Sandbox) keepRecord() error {
	doc, err := json.Marshal(s.describe())
	if err != nil {
		return err
	}
	s.record, err = memfd(recordName, doc)
	return err
}

func (s *Sandbox) describe() *record {
	r := record{Version: recordVersion, PID: s.pid, Start: s.start, Init: *s.init}
	r.Init.Late, r.Init.Sysctl, r.Init.Domainname, r.Init.Handed, r.Init.StartHooks, r.Init.Reap = nil, nil, nil, nil, nil, false
	if s.cgroup != nil {
		r.Cgroup = exact(s.cgroup.Name())
	}
	for _, n := range rlimits {
		var l unix.Rlimit
		// Of bubblewrap: the init is a Go program, and raises its own.
		if unix.Prlimit(s.bwrap, n, nil, &l) == nil {
			r.Limits = append(r.Limits, rlimit{Resource: n, Soft: l.Cur, Hard: l.Max})
		}
	}
	return &r
}

// startTime reads when a process was started: field 22 of /proc/PID/stat, the
// 20th behind the name in parentheses. There it is by the clock of the
// reader's time namespace; here it is by that of the first one, but for what is
// lost by rounding, a tick.
func startTime(pid int) (uint64, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return ticks - uint64(ownBoottime()), err
}

// ownBoottime is how far this process's clock is before that of the first time
// namespace, in ticks.
func ownBoottime() int64 {
	const hertz = 100 // USER_HZ
	data, _ := os.ReadFile("/proc/self/timens_offsets")
	for line := range strings.Lines(string(data)) {
		var secs, nanosecs int64
		if n, _ := fmt.Sscanf(line, "boottime %d %d", &secs, &nanosecs); n == 2 {
			return secs*hertz + nanosecs*hertz/1e9
		}
	}
	return 0
}

// parentOf tells the parent of a process, 0 where there is none to be seen.
func parentOf(pid int) int {
	fields, err := statFields(pid)
	if err != nil {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// statFields are those of /proc/PID/stat from the state on.
func statFields(pid int) ([]string, error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("%s: %d fields", file, len(fields))
	}
	return fields, nil
}
