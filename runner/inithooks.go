package runner

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// hookSpec is a startContainer hook as the init is told it.
type hookSpec struct {
	Path      exact
	Args, Env []exact
	Timeout   int // seconds; 0 is none
}

func hookSpecs(hooks []bwrap.Hook) []hookSpec {
	var out []hookSpec
	for _, h := range hooks {
		out = append(out, hookSpec{exact(h.Path), exactly(h.Args), exactly(h.Env), h.Timeout})
	}
	return out
}

// runHooks runs the hooks in the sandbox, as the command's user, one after the
// other. The runner sends the state that they read once they are to run.
func runHooks(hooks []hookSpec, socket int) error {
	if len(hooks) == 0 {
		return nil
	}
	state, err := readReport(socket)
	if err != nil {
		return fmt.Errorf("hooks.startContainer: state: %w", err)
	}
	for i, h := range hooks {
		if err := h.run(state); err != nil {
			return fmt.Errorf("hooks.startContainer[%d]: %q: %w", i, h.Path, err)
		}
	}
	return nil
}

func (h hookSpec) run(state []byte) error {
	in, err := memfd("state", state)
	if err != nil {
		return err
	}
	defer in.Close()
	args := texts(h.Args)
	if len(args) == 0 {
		args = []string{string(h.Path)}
	}
	pid, err := syscall.ForkExec(string(h.Path), args, &syscall.ProcAttr{
		Env: texts(h.Env), Files: []uintptr{in.Fd(), 1, 2}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return err
	}
	return awaitHook(pid, time.Duration(h.Timeout)*time.Second)
}

func awaitHook(pid int, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	var status syscall.WaitStatus
	late := false
	for {
		options := 0
		if timeout > 0 && !late {
			options = unix.WNOHANG
		}
		got, err := syscall.Wait4(pid, &status, options, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case got == 0 && time.Now().After(deadline):
			syscall.Kill(pid, syscall.SIGKILL)
			late = true
		case got == 0:
			time.Sleep(time.Millisecond)
		case late:
			return fmt.Errorf("not done after %v", timeout)
		case status.Signaled():
			return fmt.Errorf("killed by %v", status.Signal())
		case status.ExitStatus() != 0:
			return fmt.Errorf("exit status %d", status.ExitStatus())
		default:
			return nil
		}
	}
}
