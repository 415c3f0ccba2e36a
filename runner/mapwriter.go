package runner

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mapWriter writes one of the maps of a process, by the set-id program for it
// or directly.
type mapWriter struct {
	program, file string
	path          string // of the program; "" to write directly
	lines         []syscall.SysProcIDMap

	pid  int
	said *os.File
}

func (w *mapWriter) start(pid int) error {
	target := strconv.Itoa(pid)
	if w.path == "" {
		if err := os.WriteFile("/proc/"+target+"/"+w.file, formatIDMap(w.lines), 0); err != nil {
			return &Error{Msg: "user namespace", Err: err}
		}
		return nil
	}
	argv := []string{w.program, target}
	for _, l := range w.lines {
		argv = append(argv, strconv.Itoa(l.ContainerID), strconv.Itoa(l.HostID), strconv.Itoa(l.Size))
	}
	fd, err := unix.MemfdCreate(w.program, unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("%s: %w", w.program, err)
	}
	w.said = os.NewFile(uintptr(fd), w.program)
	w.pid, err = syscall.ForkExec(w.path, argv, &syscall.ProcAttr{Env: []string{}, Files: []uintptr{uintptr(fd), uintptr(fd), uintptr(fd)}})
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

func (w *mapWriter) wait() error {
	if w.path == "" {
		return nil
	}
	defer w.said.Close()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(w.pid, &status, 0, nil)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return fmt.Errorf("%s: %w", w.program, err)
		}
	}
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	buf := make([]byte, 4096)
	n, _ := w.said.ReadAt(buf, 0)
	text := strings.Join(strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == '\n' }), "; ")
	if text == "" {
		text = fmt.Sprintf("%s: ended with status %d", w.program, status.ExitStatus())
	} else if !strings.HasPrefix(text, w.program+":") {
		text = w.program + ": " + text
	}
	return &Error{Msg: text, Remedy: mapperRemedy(w.program, text)}
}

// mapperRemedy recognises why newuidmap and newgidmap refuse.
func mapperRemedy(program, text string) string {
	switch {
	case strings.Contains(text, "Operation not permitted"):
		return program + " has to be set-uid root, and must not be started where no new privileges are given (no_new_privs, nosuid): --userns single does without it"
	case strings.Contains(text, "not allowed"):
		return "/etc/subuid and /etc/subgid have to give the ranges to the caller: --userns single does without them"
	}
	return "--userns single does without " + program
}

// FindMapper finds newuidmap or newgidmap in PATH, and else where it is usual.
func FindMapper(path, program string) (string, error) {
	for _, dir := range append(strings.Split(path, ":"), "/usr/bin", "/bin") {
		file := dir + "/" + program
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", &Error{
		Msg:    program + " is not installed, which maps the ranges of /etc/subuid and /etc/subgid",
		Remedy: "install it, for example with: apt-get install uidmap",
	}
}
