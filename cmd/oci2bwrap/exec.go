package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// execFlags are podman's, for a further process of a sandbox.
type execFlags struct {
	env     []string
	workdir string
	user    string
	tty     bool
	quiet   bool
}

func newExecCmd(std stdio) *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] PID COMMAND [ARG...]",
		Short: "Run a command in a running sandbox",
		Long: `exec runs COMMAND in a sandbox that the caller has running. PID is the process
of oci2bwrap run, or the sandbox's command. COMMAND has what the sandbox's own
was given: environment, working directory, ids, capabilities, system call
filter, limits. It ends when the sandbox does.

Exit status: the command's own; 128+n when signal n killed it; 127 when the
command was not found, 126 when it can't be executed, 125 when there is no such
sandbox.`,
		Example: `  oci2bwrap run ./image-dir & oci2bwrap exec $! ps
  oci2bwrap exec -it 4711 /bin/sh`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &hinted{errors.New("PID and COMMAND are needed"), cmd.CommandPath() + " --help shows examples"}
			}
			return runExec(cmd.Context(), &f, std, args)
		},
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false) // what follows PID belongs to the command
	fs.StringArrayVarP(&f.env, "env", "e", nil, "set `NAME=VALUE`, or take NAME from the caller's environment")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "working `directory` (default: that of the sandbox's command at its start)")
	fs.StringVarP(&f.user, "user", "u", "", "`user[:group]`, by name or number (default: that of the sandbox's command)")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the command a terminal of its own")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print no notes")
	fs.BoolP("interactive", "i", false, "accepted: stdin is always the caller's")
	return cmd
}

func runExec(ctx context.Context, f *execFlags, std stdio, args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil || pid < 1 {
		return fmt.Errorf("PID: %q is no process id", args[0])
	}
	running, err := openSandbox(pid)
	if err != nil {
		return err
	}
	defer running.Close()
	if args = args[1:]; args[0] == "--" && len(args) > 1 {
		args = args[1:]
	}
	process, err := f.process(running, args)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	notifyNamed(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	visitor, err := interruptible(cancel, signals, func() (*runner.Sandbox, error) {
		return running.Exec(ctx, runner.ExecConfig{Process: process, Stdin: std.in, Stdout: std.out, Stderr: std.err})
	})
	if err != nil {
		return err
	}
	defer visitor.Close()
	if f.tty {
		if err := attach(visitor, std, signals, f.quiet); err != nil {
			return err
		}
	}
	if err := visitor.Start(); err != nil {
		return err
	}
	others := time.AfterFunc(20*time.Millisecond, func() { notifyRealTime(signals) })
	defer others.Stop()
	status, err := visitor.Supervise(signals, runner.Policy{})
	if err != nil {
		return err
	}
	if status.Code != 0 {
		return exitStatus(status.Code)
	}
	return nil
}

// openSandbox waits for a sandbox that is still being made, as it is right
// after "oci2bwrap run … &": its process may not even be this program yet.
func openSandbox(pid int) (*runner.Running, error) {
	const fork, unpack = 300 * time.Millisecond, 30 * time.Second
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		running, err := runner.Open(pid)
		if err == nil {
			return running, nil
		}
		exe, gone := os.Stat("/proc/" + strconv.Itoa(pid) + "/exe")
		passed := time.Since(begun)
		if gone != nil || passed > unpack || passed > fork && !os.SameFile(self, exe) {
			return nil, err
		}
	}
}

// process is the sandbox's own with the flags applied.
func (f *execFlags) process(running *runner.Running, args []string) (runner.ExecProcess, error) {
	p := running.Process()
	p.Args, p.Terminal = args, f.tty
	if f.user != "" {
		view, err := openInside(running.Root())
		if err != nil {
			return p, err
		}
		defer view.Close()
		user, home, err := convert.ResolveUser(view, f.user)
		if err != nil {
			return p, err
		}
		if running.SingleID() && (int(user.UID) != p.UID || int(user.GID) != p.GID) {
			return p, &hinted{fmt.Errorf("--user: the sandbox has a single id, %d:%d", p.UID, p.GID), "run it with --userns range for more"}
		}
		if !running.SingleID() {
			p.UID, p.GID, p.Groups = int(user.UID), int(user.GID), nil
			for _, g := range user.AdditionalGids {
				p.Groups = append(p.Groups, int(g))
			}
		}
		p.Env = setEnv(p.Env, "HOME="+home)
	}
	if f.tty {
		if term := os.Getenv("TERM"); term != "" {
			p.Env = setEnv(p.Env, "TERM="+term)
		}
	}
	env, err := envFlags(f.env)
	if err != nil {
		return p, err
	}
	for _, v := range env {
		p.Env = setEnv(p.Env, v)
	}
	if f.workdir != "" {
		p.Cwd = filepath.Clean("/" + f.workdir)
		if strings.HasPrefix(p.Cwd, "/proc/") {
			return p, fmt.Errorf("--workdir: %q is below /proc", f.workdir)
		}
	}
	return p, nil
}

// setEnv replaces the variable, or adds it.
func setEnv(env []string, entry string) []string {
	name, _, _ := strings.Cut(entry, "=")
	for i, e := range env {
		if strings.HasPrefix(e, name+"=") {
			env[i] = entry
			return env
		}
	}
	return append(env, entry)
}
