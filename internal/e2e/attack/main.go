// Command attack runs inside of a sandbox and tries the known ways out. It
// prints a line for each: its name, a tab, and "refused: ERROR" or "done".
// TestAttacks says which may be done.
//
// The runtime would keep a cgroup's file open:
//
//go:debug containermaxprocs=0
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// target is what outside there is to reach; the test puts it into the
// environment.
type target struct {
	secret   string // a file outside
	pid      int    // a process outside
	abstract string // an abstract socket that somebody outside listens on
	port     string // a TCP port of the host's loopback
	shm      int    // a System V shared memory key
}

// attack is one way. It returns nil when it has reached what it should not.
type attack struct {
	name string
	try  func(t *target) error
}

var errNothing = errors.New("nothing there")

func main() {
	runtime.LockOSThread()
	t := &target{secret: os.Getenv("ATTACK_SECRET"), abstract: os.Getenv("ATTACK_SOCKET"), port: os.Getenv("ATTACK_PORT")}
	t.pid, _ = strconv.Atoi(os.Getenv("ATTACK_PID"))
	t.shm, _ = strconv.Atoi(os.Getenv("ATTACK_SHM"))
	if filepath.Base(os.Args[0]) == "bwrap" { // oci2bwrap, in the sandbox, wants to know what it can do
		text := verdict(attack{"own binary", ownBinary}, t)
		if err := os.WriteFile("/out/verdict", []byte(text), 0o644); err != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "inside" {
		if err := inside(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 2 && tool(os.Args[1], os.Args[2], os.Args[3:]) {
		return
	}
	if len(os.Args) > 1 {
		fmt.Println(verdict(attack{os.Args[1], named()[os.Args[1]]}, t))
		return
	}
	for _, list := range [][]attack{files(), processes(), mounts(), kernel(), surroundings()} {
		for _, a := range list {
			fmt.Println(verdict(a, t))
		}
	}
}

// named are those that need a run of their own.
func named() map[string]func(*target) error {
	return map[string]func(*target) error{"own binary": ownBinary, "terminal": terminal}
}

func verdict(a attack, t *target) string {
	if a.try == nil {
		return a.name + "\tunknown"
	}
	if err := a.try(t); err != nil {
		return fmt.Sprintf("%s\trefused: %q", a.name, err)
	}
	return a.name + "\tdone"
}

// inside is an attack by root of new namespaces; that there are some is one.
func inside(name string) error {
	if try := insideAttacks()[name]; try != nil {
		return try()
	}
	return nil
}
