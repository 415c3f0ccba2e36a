package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/oci2bwrap/oci2bwrap/runner"
)

// attach connects the caller's streams with the sandbox's terminal until the
// sandbox is closed. As podman does, it takes a stdin that is no terminal: its
// end is typed as one.
func attach(sandbox *runner.Sandbox, std stdio, signals chan<- os.Signal, quiet bool) error {
	if !isTerminal(std.in) && !quiet {
		fmt.Fprintln(std.err, "oci2bwrap: note: -t: stdin is no terminal; what it says is typed at the command's")
	}
	// SIGPIPE as well: a reader of ours that goes must not leave the terminal raw.
	signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGPIPE)
	_, err := sandbox.Attach(std.in, std.out)
	return err
}

// checkTerminal refuses a terminal for a command whose input is the image.
func (f *containerFlags) checkTerminal(a imageArgs) error {
	if f.tty && a.fromStdin() {
		return &hinted{errors.New("-t: stdin is the image, and there is no input for a terminal"), "name the image by a path"}
	}
	return nil
}
