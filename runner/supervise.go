package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Policy says what the signals that reach the caller mean for the command.
type Policy struct {
	StopSignal  syscall.Signal // what SIGTERM and SIGHUP become; 0 is SIGTERM
	StopTimeout time.Duration  // until SIGKILL; 0 is 10 s
}

// Supervise passes signals on to a started command until it ends. SIGINT and
// SIGQUIT go as they are, SIGTERM and SIGHUP become the stop signal; what is
// alive after the timeout, or at a second SIGINT, is killed. A command that
// does nothing about SIGINT would not notice it, being pid 1, and is killed at
// once, as the signal would have done elsewhere. The status after SIGINT is
// 130 for a command that was killed.
func (s *Sandbox) Supervise(signals <-chan os.Signal, p Policy) (Status, error) {
	if p.StopSignal == 0 {
		p.StopSignal = unix.SIGTERM
	}
	if p.StopTimeout == 0 {
		p.StopTimeout = 10 * time.Second
	}
	var timeout <-chan time.Time
	var asked, overdue syscall.Signal
	var interrupted, killed bool
	kill := func() error {
		killed = true
		return s.Signal(unix.SIGKILL)
	}
	typed := s.typed()
	for {
		var err error
		var sig os.Signal
		select {
		case <-s.ended:
			if s.relay != nil {
				s.relay.drain(signals)
			}
			status, err := s.Wait()
			if killed && interrupted {
				status.Code = 128 + int(unix.SIGINT)
			}
			status.Overdue = overdue
			return status, err
		case <-timeout:
			overdue = asked
			err = kill()
		case sig = <-typed:
		case sig = <-signals:
		}
		if sig != nil {
			n, ok := sig.(syscall.Signal)
			if !ok || s.relay != nil && s.relay.take(n) {
				continue
			}
			switch n {
			case unix.SIGINT, unix.SIGQUIT:
				if n == unix.SIGINT && (interrupted || s.unmoved(n)) {
					interrupted = true
					err = kill()
					break
				}
				interrupted = interrupted || n == unix.SIGINT
				err = s.Signal(n)
				asked, timeout = n, time.After(p.StopTimeout)
			case unix.SIGTERM, unix.SIGHUP:
				err = s.Signal(p.StopSignal)
				asked, timeout = p.StopSignal, time.After(p.StopTimeout)
			default:
				err = s.Signal(n)
			}
		}
		if err != nil {
			return Status{}, fmt.Errorf("signal the command: %w", err)
		}
	}
}

// unmoved reports whether the command has left the signal at its default,
// which for pid 1 of a namespace means that the kernel drops it.
func (s *Sandbox) unmoved(sig syscall.Signal) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/status")
	if err != nil {
		return false
	}
	for _, field := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		_, rest, ok := bytes.Cut(data, []byte("\n"+field+":\t"))
		if !ok {
			return false
		}
		mask, _, _ := bytes.Cut(rest, []byte("\n"))
		bits, err := strconv.ParseUint(string(mask), 16, 64)
		if err != nil || bits&(1<<(sig-1)) != 0 {
			return false
		}
	}
	return true
}

// typed gives the signals that come by the terminal and not by the kernel.
func (s *Sandbox) typed() <-chan os.Signal {
	if s.relay == nil {
		return nil
	}
	return s.relay.interrupted
}
