package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// The words that make this program a part of a sandbox instead of a command
// line tool. Main looks for them.
const (
	initWord   = "__init"
	stageWord  = "__stage"
	enterWord  = "__enter"
	reapWord   = "__reap"
	pastaWord  = "__pasta"
	wardenWord = "__warden"
)

// Main is to be called first in main, with os.Args: when the program was
// started as a part of a sandbox it does that part and does not return. It
// gives the arguments to go on with, and an Inside where Enter has brought the
// program here, whose Await is to be called first. It must come before anything
// that takes time.
func Main(args []string) (own []string, inside *Inside) {
	if len(args) < 2 {
		return args, nil
	}
	switch args[1] {
	case initWord:
		os.Exit(initMain(args[2:]))
	case reapWord:
		os.Exit(reapMain(args[2:]))
	case stageWord:
		os.Exit(stageMain(args[2:]))
	case enterWord:
		own, inside, err := entered(args[2:])
		if err != nil {
			fmt.Fprintln(os.Stderr, "oci2bwrap: user namespace:", err)
			os.Exit(125)
		}
		return own, inside
	case pastaWord:
		os.Exit(pastaMain(args[2:]))
	case wardenWord:
		os.Exit(wardenMain(args[2:]))
	}
	return args, nil
}

// Unprivileged drops the ambient and inheritable capabilities of a process
// that is not root: bubblewrap refuses to start with any. A container gives
// such to a user.
func Unprivileged() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if os.Geteuid() == 0 || unix.Capget(&hdr, &data[0]) != nil || data[0].Inheritable|data[1].Inheritable == 0 {
		return nil
	}
	return plainCaps()
}

// stageMain is the process between an ordinary user's oci2bwrap and bwrap:
// root of a new user namespace with a mount namespace of its own. It mounts
// what the stage says and becomes the program of args[1:].
func stageMain(args []string) int {
	runtime.LockOSThread() // a time namespace for what comes next is the thread's
	err := func() error {
		if len(args) < 1 {
			return errors.New("stage: started by hand")
		}
		var spec stageSpec
		if err := readJSON(args[0], &spec); err != nil {
			return fmt.Errorf("stage: %w", err)
		}
		if err := spec.mount(); err != nil {
			return err
		}
		if len(args) == 1 {
			return nil // a trial
		}
		if spec.PastaFD > 0 {
			if err := stagePastaHelper(spec.PastaFD); err != nil {
				return err
			}
		}
		if spec.Time {
			if err := newTime(spec.Clocks); err != nil {
				return fmt.Errorf("stage: %w", err)
			}
		}
		err := unix.Exec(args[1], args[1:], nil)
		return fmt.Errorf("stage: exec %s: %w", args[1], err)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// readJSON reads a document from an inherited descriptor and closes it. It
// keeps off os.File, which would set the runtime's poller up.
func readJSON(number string, v any) error {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	data := make([]byte, st.Size)
	n, err := unix.Pread(fd, data, 0)
	if err != nil {
		return err
	}
	return json.Unmarshal(data[:n], v)
}
