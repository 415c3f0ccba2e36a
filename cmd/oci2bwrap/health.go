package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// healthCheck asks a running sandbox's command how it is.
type healthCheck struct {
	convert.Healthcheck
	sandbox *runner.Sandbox
}

// verdict is what the checks have found: nil is well.
type verdict struct{ err error }

// watched waits for the end of the sandbox, which comes with the verdict or by
// itself, and gives the exit status that stands for it.
func (h *healthCheck) watched(status runner.Status, answer <-chan verdict, stderr io.Writer) error {
	select {
	case v := <-answer:
		if v.err == nil {
			return nil
		}
		fmt.Fprintf(stderr, "oci2bwrap: %s\n", printable(v.err.Error()))
	default:
		if status.Code > 128 { // ended by a signal, as by an interrupt
			return exitStatus(status.Code)
		}
		fmt.Fprintf(stderr, "oci2bwrap: healthcheck: the command ended with status %d before a check found it well\n", status.Code)
	}
	return exitStatus(1)
}

// watch runs the checks until they have an answer, and then has the sandbox
// stopped by a signal. The first check comes at once, and like all within the
// start period its failure does not count.
func (h *healthCheck) watch(ctx context.Context, signals chan<- os.Signal) <-chan verdict {
	answer := make(chan verdict, 1)
	go func() {
		err := h.ask(ctx)
		if ctx.Err() != nil || err == errEnded {
			return
		}
		answer <- verdict{err}
		signals <- syscall.SIGTERM
	}()
	return answer
}

// errEnded says that there is nobody left to ask.
var errEnded = errors.New("the command has ended")

func (h *healthCheck) ask(ctx context.Context) error {
	begin := time.Now()
	failures := 0
	for n := 0; ; n++ {
		starting := n == 0 || time.Since(begin) < h.StartPeriod
		err := h.once(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if h.hasEnded(err) {
			return errEnded
		}
		if !starting {
			failures++
		}
		if failures >= h.Retries {
			return fmt.Errorf("healthcheck: failure %d of %d: %w", failures, h.Retries, err)
		}
		wait := h.Interval
		if time.Since(begin) < h.StartPeriod {
			wait = min(h.StartInterval, h.Interval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.sandbox.Done():
			return errEnded
		case <-time.After(wait):
		}
	}
}

// hasEnded says whether the sandbox is gone. A check that could not even be
// started may have noticed that earlier.
func (h *healthCheck) hasEnded(err error) bool {
	var grace time.Duration
	if failed := (*checkError)(nil); !errors.As(err, &failed) {
		grace = time.Second
	}
	select {
	case <-h.sandbox.Done():
		return true
	case <-time.After(grace):
		return false
	}
}

// checkError is a check that failed, with the last of what it said.
type checkError struct{ why, said string }

func (e *checkError) Error() string {
	if e.said == "" {
		return e.why
	}
	return e.why + ": " + e.said
}

// once runs one check.
func (h *healthCheck) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	running, err := h.sandbox.Running()
	if err != nil {
		return err
	}
	defer running.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	said := make(chan string, 1)
	go func() { said <- readTail(r) }()
	process := running.Process()
	process.Args = h.Args
	status, err := runCheck(ctx, running, runner.ExecConfig{Process: process, Stdout: w, Stderr: w})
	w.Close()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return &checkError{"it took longer than " + h.Timeout.String(), <-said}
	case err != nil:
		return err
	case status != 0:
		return &checkError{fmt.Sprintf("status %d", status), <-said}
	}
	return nil
}

// runCheck gives the check's status. It is killed when ctx ends.
func runCheck(ctx context.Context, running *runner.Running, c runner.ExecConfig) (int, error) {
	check, err := running.Exec(ctx, c)
	if err != nil {
		return 0, err
	}
	defer check.Close()
	var exec *runner.ExecError
	if err := check.Start(); errors.As(err, &exec) {
		return 0, &checkError{why: exec.Error()}
	} else if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = check.Signal(syscall.SIGKILL) })
	defer stop()
	status, err := check.Wait()
	return status.Code, err
}

// readTail gives the last 4096 bytes, on one line.
func readTail(r io.Reader) string {
	const most = 4096
	var tail []byte
	buf := make([]byte, most)
	for {
		n, err := r.Read(buf)
		tail = append(tail, buf[:n]...)
		tail = tail[max(0, len(tail)-most):]
		if err != nil {
			return strings.Join(strings.FieldsFunc(string(tail), func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
		}
	}
}
