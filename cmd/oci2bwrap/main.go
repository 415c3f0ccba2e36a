// Go's runtime would read the mount table and the cgroup's CPU limit at each
// start, here and in the sandbox's init, to set GOMAXPROCS: a third of the
// time that a start takes.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command oci2bwrap runs an OCI image as a bubblewrap sandbox.
package main

import (
	"context"
	"os"

	"github.com/oci2bwrap/oci2bwrap/internal/engine"
	"github.com/oci2bwrap/oci2bwrap/internal/probe"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

func main() {
	args, inside := runner.Main(os.Args) // does not return in a sandbox's stage or init
	probe.Main(os.Args)                  // nor this, as what parity starts on both sides
	engine.Main(os.Args)
	if inside == nil {
		if err := runner.Unprivileged(); err != nil {
			os.Exit(report(os.Stderr, err))
		}
	}
	std := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, args: args[1:], inside: inside}
	os.Exit(run(context.Background(), std.args, std))
}

// stdio are the caller's standard streams, and the command line that a
// command needs to be run once more in a user namespace.
type stdio struct {
	in, out, err *os.File
	args         []string
	inside       *runner.Inside // this is that run
}

// run does what the arguments say and gives the exit status.
func run(ctx context.Context, args []string, std stdio) int {
	root := newRootCmd(std)
	root.SetArgs(args)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return report(std.err, err)
}
