package probe

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespaces tells the identities of the process's namespaces, by the names of
// /proc/self/ns.
func Namespaces() map[string]string {
	ns := map[string]string{}
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		id, err := os.Readlink("/proc/self/ns/" + name)
		ns[name] = valueOr(id, err)
	}
	return ns
}

func (f Facts) namespaces() {
	for name, id := range Namespaces() {
		f.set("namespaces", name, id)
	}
}

// names are those of uname(2).
func (f Facts) names() {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		f.set("names", "uname", fault(err))
		return
	}
	f.set("names", "hostname", Escape(unix.ByteSliceToString(u.Nodename[:])))
	f.set("names", "domainname", Escape(unix.ByteSliceToString(u.Domainname[:])))
	f.set("names", "kernel", unix.ByteSliceToString(u.Release[:]))
	f.set("names", "machine", unix.ByteSliceToString(u.Machine[:]))
}

// etc reads the files that a runtime makes, and looks the process's own ids
// up.
func (f Facts) etc() {
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/hostname"} {
		data, err := os.ReadFile(file)
		f.set("files", file, valueOr(Escape(string(data)), err))
	}
	for _, file := range []string{"/run/.containerenv", "/.dockerenv"} {
		_, err := os.Lstat(file)
		f.set("files", file, fault(err))
	}
	f.set("account", "passwd", account("/etc/passwd", unix.Getuid()))
	f.set("account", "group", account("/etc/group", unix.Getgid()))
}

// account is the first line of a file like /etc/passwd with the id.
func account(file string, id int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return fault(err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) > 2 && fields[2] == strconv.Itoa(id) {
			return Escape(strings.TrimSpace(line))
		}
	}
	return "none"
}

// network names the interfaces and says whether they are up.
func (f Facts) network() {
	const group = "network"
	file, err := os.Open("/proc/self/net/dev")
	if err != nil {
		f.set(group, "interfaces", fault(err))
		return
	}
	defer file.Close()
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	f.set(group, "socket", fault(err))
	if err == nil {
		defer unix.Close(sock)
	}
	for s := bufio.NewScanner(file); s.Scan(); {
		name, _, ok := strings.Cut(strings.TrimSpace(s.Text()), ":")
		if !ok {
			continue
		}
		f.set(group, "interface "+Escape(name), linkState(sock, name))
	}
	if err == nil {
		err := unix.Bind(sock, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		f.set(group, "bind to 127.0.0.1", fault(err))
	}
}

func linkState(sock int, name string) string {
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(sock, unix.SIOCGIFFLAGS, req)
	}
	if err != nil {
		return fault(err)
	}
	if req.Uint16()&unix.IFF_UP != 0 {
		return "up"
	}
	return "down"
}

// writable says where files can be made: in the usual places and in every
// mounted directory.
func (f Facts) writable(mounts []mount) {
	dirs := []string{"/", "/dev", "/dev/shm", "/etc", "/home", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/run/lock",
		"/srv", "/sys", "/tmp", "/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/tmp"}
	if home := os.Getenv("HOME"); home != "" {
		f.set("writable", "HOME", canWrite(home))
	}
	f.set("writable", "working directory", canWrite("."))
	for _, m := range mounts {
		if m.is("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue") {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(m.dst, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			dirs = append(dirs, m.dst)
		}
	}
	for _, dir := range dirs {
		f.set("writable", Escape(dir), canWrite(dir))
	}
}

// canWrite makes a file without a name, or, where the file system has none of
// these, one that it removes.
func canWrite(dir string) string {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == unix.EOPNOTSUPP || err == unix.EISDIR {
		name := fmt.Sprintf("%s/.oci2bwrap-probe-%d", dir, os.Getpid())
		if fd, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil {
			err = unix.Unlink(name)
		}
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	return fault(err)
}
