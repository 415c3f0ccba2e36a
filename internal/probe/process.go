package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/internal/nofile"
)

// descriptors names what is open, apart from the probe's own binary, and what
// Go's runtime has opened by itself.
func (f Facts) descriptors(self int) {
	if self > 0 {
		unix.Close(self)
	}
	open := []int{}
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, fd)
		}
	}
	for _, fd := range open {
		link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if strings.HasPrefix(link, "anon_inode:[eventpoll]") || strings.HasPrefix(link, "anon_inode:[eventfd]") || strings.HasPrefix(link, "anon_inode:[pidfd]") {
			continue
		}
		f.set("descriptors", strconv.Itoa(fd), descriptor(fd))
	}
	for fd := range 3 {
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		f.set("descriptors", fmt.Sprintf("%d is a terminal", fd), yes(err == nil))
	}
	_, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	f.set("descriptors", "controlling terminal", fault(err))
}

func descriptor(fd int) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fault(err)
	}
	kind := kindOf(st.Mode)
	if kind == "c" {
		kind += fmt.Sprintf(" %d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
	}
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	access := map[int]string{unix.O_RDONLY: "read", unix.O_WRONLY: "write", unix.O_RDWR: "read and write"}[flags&unix.O_ACCMODE]
	return kind + ", " + access
}

// process tells what the process is and how it was started.
func (f Facts) process(args []string) {
	const group = "process"
	for i, a := range args {
		f.set(group, fmt.Sprintf("argv %d", i), Escape(a))
	}
	cwd, err := unix.Getwd()
	if err != nil {
		cwd = fault(err)
	}
	f.set(group, "cwd", Escape(cwd))
	sid, _ := unix.Getsid(0)
	pgid, _ := unix.Getpgid(0)
	f.set(group, "pid", strconv.Itoa(os.Getpid()))
	f.set(group, "parent", strconv.Itoa(os.Getppid()))
	f.set(group, "session", strconv.Itoa(sid))
	f.set(group, "process group", strconv.Itoa(pgid))
	mask := unix.Umask(0)
	unix.Umask(mask)
	f.set(group, "umask", fmt.Sprintf("%04o", mask))
	for _, o := range []struct {
		name   string
		option int
	}{{"no_new_privs", unix.PR_GET_NO_NEW_PRIVS}, {"securebits", unix.PR_GET_SECUREBITS}, {"dumpable", unix.PR_GET_DUMPABLE},
		{"child subreaper", unix.PR_GET_CHILD_SUBREAPER}, {"keep capabilities", unix.PR_GET_KEEPCAPS}, {"timer slack", unix.PR_GET_TIMERSLACK}} {
		f.set(group, o.name, prctl(o.option))
	}
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	f.set(group, "nice", valueOr(strconv.Itoa(20-nice), err))
	_, err = os.Stat("/proc/self/exe")
	f.set(group, "own executable", fault(err))
	for _, file := range []string{"oom_score_adj", "personality", "cgroup", "uid_map", "gid_map", "setgroups", "coredump_filter"} {
		f.set(group, file, lines("/proc/self/"+file))
	}
}

// prctl asks for a value that the kernel returns or, for some options, writes.
func prctl(option int) string {
	var written int32
	n, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
	if option == unix.PR_GET_CHILD_SUBREAPER {
		err = prctlInto(option, &written)
		n = int(written)
	}
	return valueOr(strconv.Itoa(n), err)
}

func valueOr(value string, err error) string {
	if err != nil {
		return fault(err)
	}
	return value
}

// lines is a small file of the kernel's, its columns set apart by one space.
func lines(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return fault(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return Escape(strings.Join(all, "; "))
}

// status reads ids, capabilities, signals and seccomp.
func (f Facts) status() {
	data, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		f.set("process", "status", fault(err))
		return
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.Join(strings.Fields(value), " ")
		switch name {
		case "Uid", "Gid":
			f.set("ids", strings.ToLower(name)+" real, effective, saved, file system", value)
		case "Groups":
			groups := strings.Fields(value)
			slices.Sort(groups)
			f.set("ids", "groups", strings.Join(slices.Compact(groups), " "))
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
			f.set("capabilities", map[string]string{"CapInh": "inheritable", "CapPrm": "permitted", "CapEff": "effective",
				"CapBnd": "bounding", "CapAmb": "ambient"}[name], capabilityNames(value))
		case "SigBlk":
			f.set("signals", "blocked", value)
		case "SigIgn":
			// Go's runtime handles what was ignored, but for these two.
			mask, _ := strconv.ParseUint(value, 16, 64)
			for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
				f.set("signals", unix.SignalName(sig)+" ignored", yes(mask&(1<<(sig-1)) != 0))
			}
		case "Seccomp":
			f.set("seccomp", "mode", value)
		case "Speculation_Store_Bypass", "SpeculationIndirectBranch":
			f.set("seccomp", name, value)
		case "Cpus_allowed_list", "Mems_allowed_list":
			f.set("process", name, value)
		}
	}
}

func capabilityNames(mask string) string {
	bits, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		return mask
	}
	var names []string
	for n, name := range capabilities {
		if bits&(1<<n) != 0 {
			names = append(names, name)
		}
		bits &^= 1 << n
	}
	if bits != 0 {
		names = append(names, fmt.Sprintf("%#x", bits))
	}
	return strings.Join(names, " ")
}

// capabilities are those of capabilities(7), by number.
var capabilities = [...]string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}

// limits are getrlimit(2)'s, soft and hard.
func (f Facts) limits() {
	for n, name := range [...]string{"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as",
		"locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"} {
		var l unix.Rlimit
		err := unix.Getrlimit(n, &l)
		if n == unix.RLIMIT_NOFILE {
			l.Cur = nofile.Soft()
		}
		f.set("limits", name, valueOr(limit(l.Cur)+" "+limit(l.Max), err))
	}
}

func limit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// environment takes the variables as the kernel has them: Go's own list knows
// no name twice.
func (f Facts) environment() {
	data, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		f.set("environment", "(all)", fault(err))
		return
	}
	for e := range strings.SplitSeq(strings.TrimSuffix(string(data), "\x00"), "\x00") {
		name, value, ok := strings.Cut(e, "=")
		switch {
		case ok:
			f.add("environment", Escape(name), Escape(value))
		case e != "":
			f.add("environment", Escape(name), "(no =)")
		}
	}
}

const (
	foundAt  = "command found at"
	notFound = "not found"
)

// command tells where PATH leads for the command that the probe stands for.
func (f Facts) command(args []string) {
	if len(args) == 0 {
		return
	}
	found := notFound
	candidates := []string{args[0]}
	if !strings.Contains(args[0], "/") {
		candidates = nil
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			candidates = append(candidates, filepath.Join(dir, args[0]))
		}
	}
	for _, c := range candidates {
		err := unix.Faccessat(unix.AT_FDCWD, c, unix.X_OK, unix.AT_EACCESS)
		if err == nil {
			found = c
			break
		}
	}
	f.set("process", foundAt, found)
}
