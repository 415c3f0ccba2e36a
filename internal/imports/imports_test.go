// Package imports_test holds the module to the shape that docs/architecture.md
// draws: which package may know which.
package imports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"testing"
)

const module = "github.com/oci2bwrap/oci2bwrap"

// allowed is the whole list of imports between packages of ours.
var allowed = []edge{
	{"cmd/...", "cmd/..."},
	{"cmd/...", "convert/..."},
	{"cmd/...", "internal/..."},
	{"cmd/...", "layout/..."},
	{"cmd/...", "runner/..."},
	{"convert", "convert/bwrap"},
	{"convert", "internal/inroot"},
	{"convert", "internal/seccomp"},
	{"layout", "internal/inroot"},
	{"runner", "convert/bwrap"},
	{"internal/parity", "internal/probe"},
	{"internal/probe", "internal/nofile"},
	{"fixtures/...", "fixtures"},
	{"fixtures/...", "fixtures/hostile"},
}

const allowedReason = "the stages of the pipeline do not call each other: cmd wires them through the values they hand on"

// pure are the packages that turn values into values.
var pure = []string{"convert", "convert/bwrap", "internal/seccomp"}

const pureReason = "a conversion gives the same output for the same input; what it needs of the machine comes in a Host or a Rootfs"

// bans are the imports from outside the module that only some packages may have.
var bans = []ban{
	{Import: "github.com/spf13/...", Except: []string{"cmd/..."},
		Reason: "flags are read in cmd alone; a Go program that imports a package of ours brings its own"},
	{Import: "github.com/google/go-containerregistry/...", Except: []string{"layout"},
		Reason: "images are read in layout alone; everything after it works on image-spec and runtime-spec values"},
	{Import: "github.com/klauspost/compress/...", Except: []string{"layout", "fixtures"},
		Reason: "layers are decompressed in layout alone, behind its limits"},
	{Import: "github.com/moby/profiles/...", Except: []string{"convert"},
		Reason: "a profile has become the Spec's filter before anything else sees it"},
	{Import: "os/exec", Except: []string{"runner", "internal/engine", "internal/nixstore", "fixtures/...", "internal/e2e/attack"},
		Reason: "processes are started in runner alone, where their environment, descriptors and end are looked after"},
	{Import: "os", Only: pure, Reason: pureReason},
	{Import: "os/...", Only: pure, Reason: pureReason},
	{Import: "net", Only: pure, Reason: pureReason}, // net/netip only reads what addresses look like; net/http is out of the binary
	{Import: "log/...", Only: pure, Reason: pureReason},
	{Import: "syscall", Only: pure, Reason: pureReason},
	{Import: "golang.org/x/sys/...", Only: pure, Reason: pureReason},
	{Import: "math/rand/...", Only: pure, Reason: pureReason},
	{Import: "github.com/opencontainers/image-spec/...", Only: []string{"runner", "convert/bwrap"},
		Reason: "an image has become a runtime Spec before it gets here"},
	{Import: "github.com/opencontainers/runtime-spec/...", Only: []string{"layout", "runner", "convert/bwrap"},
		Reason: "the Spec is made and read in convert; layout ends before it, bwrap's plan and the runner begin after it"},
}

// binaryBans are the packages that the binary may not hold, by whatever way.
var binaryBans = []ban{
	{Import: "net/http/...", Reason: "no network client: it costs start-up and size and is a surface for attack"},
	{Import: "crypto/tls", Reason: "no network client: it costs start-up and size and is a surface for attack"},
	{Import: "testing/...", Reason: "it registers flags and is of no use outside tests"},
	{Import: module + "/fixtures/...", Reason: "fixtures are for tests and the demo"},
}

func TestImports(t *testing.T) {
	packages := list(t, module+"/...")
	report(t, ownImports(module, packages, allowed, allowedReason))
	report(t, bannedImports(module, packages, bans))
}

func TestBinary(t *testing.T) {
	const root = module + "/cmd/oci2bwrap"
	report(t, bannedDependencies(root, list(t, root), binaryBans))
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}

// list returns the packages that match pattern and all that they import.
func list(t *testing.T, pattern string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard", pattern)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.Bytes())
	}
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatalf("go list found no package for %q", pattern)
	}
	return packages
}
