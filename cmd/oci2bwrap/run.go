package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

func newRunCmd(std stdio) *cobra.Command {
	var f containerFlags
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run an image as a sandbox",
		Long: `run makes the sandbox that the image describes and runs its command, or
COMMAND, in it. The root is read-only; /tmp, /run, /var and the image's
volumes can be written to and show what the image has there. Nothing that is
written survives the run, but for what -v binds and --upper keeps.

Exit status: the command's own; 128+n when signal n killed it; 127 when the
command was not found, 126 when it can't be executed, 125 when oci2bwrap or
bubblewrap failed before the command ran.`,
		Example: `  oci2bwrap run ./image-dir
  oci2bwrap run ./image-dir:v2 /bin/sh -c 'id; pwd; env'
  oci2bwrap run -e DEBUG=1 -v ./data:/data --network none ./image-dir
  echo hello | oci2bwrap run --writable ./image-dir cat
  oci2bwrap run -it ./image-dir /bin/sh
  oci2bwrap run --network pasta -p 8080:80 ./image-dir
  oci2bwrap run -v ./source:/src:O -w /src ./image-dir make test
  oci2bwrap run --upper ./kept ./image-dir /bin/sh -c 'date >> /visits'
  oci2bwrap run --healthcheck --health-cmd 'curl -f localhost' --health-interval 1s ./image-dir`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := f.parse(cmd, args)
			if err != nil {
				return err
			}
			return runRun(cmd.Context(), &f, std, a)
		},
	}
	f.AddFlags(cmd.Flags())
	return cmd
}

func runRun(ctx context.Context, f *containerFlags, std stdio, a imageArgs) error {
	if err := errors.Join(f.check(), f.checkTerminal(a)); err != nil {
		return err
	}
	s, err := newSession(f, std, a)
	if err != nil {
		return err
	}
	defer s.close()
	signals := make(chan os.Signal, 16)
	notifyNamed(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sandbox, err := interruptible(cancel, signals, func() (*runner.Sandbox, error) {
		return s.create(ctx, std, a)
	})
	if s.life != nil {
		defer s.life.stopped(std.err)
	}
	if err != nil {
		return err
	}
	defer sandbox.Close()
	if s.planned.Plan.Process.Terminal {
		if err := attach(sandbox, std, signals, f.quiet); err != nil {
			return err
		}
	}
	if err := s.start(ctx, cancel, signals, sandbox); err != nil {
		if strings.HasPrefix(s.planned.Plan.Process.Args[0], "-") {
			return &hinted{err, "what follows IMAGE is the command: the flags of run go before it"}
		}
		return err
	}
	return s.supervise(ctx, std, signals, sandbox)
}

// supervise waits for the command, which gets the caller's signals, and gives its
// status.
func (s *session) supervise(ctx context.Context, std stdio, signals chan os.Signal, sandbox *runner.Sandbox) error {
	// A command that is done at once is not worth the set-up.
	others := time.AfterFunc(20*time.Millisecond, func() { notifyRealTime(signals) })
	defer others.Stop()
	stop, err := convert.ParseSignal(s.planned.Plan.Process.StopSignal)
	if err != nil {
		return err
	}
	if n := min(s.flags.timeLimit, math.MaxInt32); n > 0 { // more is for ever
		over := time.AfterFunc(time.Duration(n)*time.Second, func() { signals <- syscall.SIGKILL })
		defer over.Stop()
	}
	var answer <-chan verdict
	if s.health != nil {
		s.health.sandbox = sandbox
		answer = s.health.watch(ctx, signals)
	}
	status, err := sandbox.Supervise(signals, runner.Policy{StopSignal: syscall.Signal(stop), StopTimeout: s.flags.timeout()})
	if err != nil {
		return err
	}
	sandbox.Close() // the terminal is in order for what is said now
	if s.health != nil {
		return s.health.watched(status, answer, std.err)
	}
	return s.flags.ended(status, std)
}

// ended gives the command's status, and says where it was killed for want of an
// end.
func (f *containerFlags) ended(status runner.Status, std stdio) error {
	if status.Overdue != 0 && f.stopTimeout > 0 && !f.quiet {
		fmt.Fprintf(std.err, "oci2bwrap: note: the command had not ended %d s after %s, and was killed (--stop-timeout, --stop-signal)\n",
			f.stopTimeout, cmp.Or(unix.SignalName(status.Overdue), fmt.Sprintf("signal %d", status.Overdue)))
	}
	if status.Code != 0 {
		return exitStatus(status.Code)
	}
	return nil
}

// create makes everything ready up to the command's start.
func (s *session) create(ctx context.Context, std stdio, a imageArgs) (*runner.Sandbox, error) {
	s.running = true
	if err := s.unpack(ctx, a); err != nil {
		return nil, err
	}
	health, err := s.flags.health.of(s.image.RawConfig)
	if err != nil {
		return nil, err
	}
	if health != nil {
		s.health = &healthCheck{Healthcheck: *health}
	}
	if err := s.convert(a.command); err != nil {
		return nil, err
	}
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	if err := s.judge(); err != nil {
		return nil, err
	}
	if err := s.lockUppers(); err != nil {
		return nil, err
	}
	if err := s.chown(ctx); err != nil {
		return nil, err
	}
	if a.fromStdin() {
		std.in = nil // it was the image
	}
	connection, err := s.flags.pasta(s.result.Pasta)
	if err != nil {
		return nil, err
	}
	life, err := s.lifecycle()
	if err != nil {
		return nil, err
	}
	sandbox, err := runner.Create(ctx, runner.Config{
		Bwrap: s.bwrap, Command: s.command, Real: s.standing.root, Mapped: s.standing.confined, Private: s.features.Stage, Pasta: connection, State: life.inside(), Trees: s.trees,
		Stdin: std.in, Stdout: std.out, Stderr: std.err,
	})
	if err != nil {
		return nil, err
	}
	s.life = life // from here on there is something to be stopped
	if err := life.created(ctx, sandbox.PID()); err != nil {
		sandbox.Close()
		return nil, err
	}
	s.tell()
	return sandbox, nil
}

// notifyNamed has the signals with names delivered, as far as they mean
// something to a command. Those of job control stop and continue oci2bwrap
// itself, as the shell expects.
func notifyNamed(c chan<- os.Signal) {
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGABRT, syscall.SIGIO, syscall.SIGPWR,
		syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGSTKFLT)
}

// notifyRealTime has the real-time signals delivered. Each costs a round
// through the scheduler, so it is done while the command runs.
func notifyRealTime(c chan<- os.Signal) {
	const first, last = 34, 64 // the C library keeps 32 and 33
	for n := syscall.Signal(first); n <= last; n++ {
		signal.Notify(c, n)
	}
}

// interruptible does the work before there is a command: a signal that would
// end a program cancels it, and the exit status says which.
func interruptible(cancel context.CancelFunc, signals <-chan os.Signal, work func() (*runner.Sandbox, error)) (*runner.Sandbox, error) {
	type outcome struct {
		sandbox *runner.Sandbox
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		s, err := work()
		done <- outcome{s, err}
	}()
	var ended exitStatus
	var grace <-chan time.Time
	for {
		select {
		case <-grace:
			return nil, ended // it waits for input that may never come
		case o := <-done:
			if ended != 0 {
				if o.sandbox != nil {
					o.sandbox.Close()
				}
				return nil, ended
			}
			return o.sandbox, o.err
		case sig := <-signals:
			if n, ok := sig.(syscall.Signal); ok && (n == syscall.SIGINT || n == syscall.SIGTERM || n == syscall.SIGHUP || n == syscall.SIGQUIT) {
				ended = exitStatus(128 + int(n))
				cancel()
				grace = time.After(2 * time.Second)
			}
		}
	}
}
