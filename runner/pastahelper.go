package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pastaReady is the helper's answer when the network is up. Any other is the
// reason why not.
const pastaReady = "ready"

// forkPastaHelper starts the helper with the socket as its descriptor 3.
func forkPastaHelper(socket int) (pid int, err error) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(null)
	pid, err = syscall.ForkExec("/proc/self/exe", []string{"oci2bwrap", pastaWord, "3"}, &syscall.ProcAttr{
		Dir: "/", Env: childEnv, Files: []uintptr{uintptr(null), uintptr(null), uintptr(null), uintptr(socket)},
	})
	if err != nil {
		return 0, fmt.Errorf("start pasta's helper: %w", err)
	}
	return pid, nil
}

// stagePastaHelper starts the helper before there is a bubblewrap. That looks
// its child up in /proc by a number that is low where it is the first process
// of the namespace, and exists by chance where /proc is another namespace's; so
// that /proc has to be this one's.
func stagePastaHelper(socket int) error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("stage: mount /proc for pasta: %w", err)
	}
	unix.CloseOnExec(socket)
	_, err := forkPastaHelper(socket)
	return err
}

// pastaMain is the helper: it waits for its order and starts pasta, which goes
// into the background once the network is up and ends with the pid namespace
// that both are in.
func pastaMain(args []string) int {
	runtime.LockOSThread() // capabilities belong to the thread
	fd := -1
	if len(args) == 1 {
		fd, _ = strconv.Atoi(args[0])
	}
	if fd < 0 {
		fmt.Fprintln(os.Stderr, "pasta's helper: started by hand")
		return 125
	}
	// What is for bubblewrap the stage has left open; that of the init's socket
	// would never be seen closed.
	unix.CloseRange(uint(fd)+1, math.MaxUint32, 0)
	unix.CloseOnExec(fd)
	order, err := readReport(fd)
	if err != nil || len(order) == 0 {
		return 0 // the sandbox came to nothing
	}
	answer := pastaReady
	if err := startPasta(order); err != nil {
		answer = err.Error()
	}
	unix.Write(fd, []byte(answer))
	return 0
}

func startPasta(doc []byte) error {
	var o pastaOrder
	if err := json.Unmarshal(doc, &o); err != nil {
		return err
	}
	args, err := o.namespace()
	if err != nil {
		return err
	}
	if err := fewCapabilities(); err != nil {
		return err
	}
	said, err := unix.MemfdCreate("pasta", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(said)
	argv := append(append([]string{string(o.Path)}, texts(o.Args)...), args...)
	pid, err := syscall.ForkExec(string(o.Path), argv, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{0, uintptr(said), uintptr(said)},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Path, err)
	}
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err == nil {
			break
		} else if err != syscall.EINTR {
			return err
		}
	}
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	text := make([]byte, 8192)
	n, _ := unix.Pread(said, text, 0)
	return errors.New(complaint(string(text[:max(n, 0)]), status))
}

// complaint is what pasta says last that is not about its log, or first where
// its usage follows.
func complaint(text string, status syscall.WaitStatus) string {
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Usage:") && last != "" {
			break
		}
		if line != "" && !strings.Contains(line, "to syslog") {
			last = line
		}
	}
	switch {
	case last != "":
		return last
	case status.Signaled():
		return "killed by " + status.Signal().String()
	}
	return fmt.Sprintf("ended with status %d", status.ExitStatus())
}

// namespace gives the options that name the namespaces. The network's belongs
// to a user namespace that pasta has to be in: the helper's, or one below it
// that no process need be in any more. Pasta drops most capabilities before it
// opens them, so that it could not look at a process that has more.
func (o pastaOrder) namespace() ([]string, error) {
	path := "/proc/" + strconv.Itoa(o.PID) + "/ns/net"
	net, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	owner, err := unix.IoctlRetInt(net, unix.NS_GET_USERNS)
	if err != nil {
		return nil, fmt.Errorf("%s: user namespace: %w", path, err)
	}
	self, err := os.Readlink("/proc/self") // for real root /proc is the host's
	if err != nil {
		return nil, err
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(owner, &a), unix.Stat("/proc/self/ns/user", &b)); err != nil {
		return nil, err
	}
	fds := "/proc/" + self + "/fd/"
	if a.Ino == b.Ino && a.Dev == b.Dev {
		return []string{"--runas", "0", "--netns-only", "--netns", fds + strconv.Itoa(net)}, nil
	}
	return []string{"--runas", "0", "--userns", fds + strconv.Itoa(owner), "--netns", path}, nil
}

// fewCapabilities leaves the helper no more than pasta keeps, or the kernel
// would not let it see the helper's descriptors.
func fewCapabilities() error {
	const keep = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	low := data[0].Permitted & keep
	data = [2]unix.CapUserData{{Effective: low, Permitted: low, Inheritable: low}, {}}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN} {
		if low&(1<<c) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
	}
	return nil
}
