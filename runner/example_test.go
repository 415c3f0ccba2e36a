package runner_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// A planned sandbox is run, and gives its status. The program that does so
// calls runner.Main first of all in main: it is itself the sandbox's init.
func ExampleCreate() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // whose end is the sandbox's
	defer cancel()
	path, err := runner.Find(os.Getenv("PATH"))
	if err != nil {
		log.Fatal(err)
	}
	stage, err := os.MkdirTemp("", "stage-") // the runner covers it by mounts that nobody else sees
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(stage)
	real := os.Geteuid() == 0
	features, err := runner.Prober{Bwrap: path, StageDir: stage, Real: real}.Features(ctx)
	if err != nil {
		log.Fatal(err)
	}

	plan := &bwrap.Plan{ // as convert.Plan gives it
		Process:    bwrap.Process{Args: []string{"sh", "-c", "echo process $$; exit 3"}, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/", Umask: 0o022},
		Namespaces: bwrap.Namespaces{PID: true, User: !real},
		Steps:      []bwrap.Step{{Op: bwrap.Bind{Src: "/", Dst: "/", ReadOnly: true}}, {Op: bwrap.Proc{Dst: "/proc"}}, {Op: bwrap.Dev{Dst: "/dev"}}},
	}
	command, err := bwrap.Lower(plan, bwrap.Target{Features: features, StageDir: stage})
	if err != nil {
		log.Fatal(err)
	}
	sandbox, err := runner.Create(ctx, runner.Config{Bwrap: path, Command: command, Real: real, Private: features.Stage, Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	defer sandbox.Close()
	// Everything is mounted, and nothing runs yet.
	if err := sandbox.Start(); err != nil {
		log.Fatal(err)
	}
	status, err := sandbox.Wait()
	fmt.Println("status", status.Code, err)
	// Output:
	// process 1
	// status 3 <nil>
}
