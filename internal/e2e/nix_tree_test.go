package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// nixImages are the image JSON files. The digest of one layer of the shell's
// follows the machine's busybox.
var nixImages = [...]string{"image-text", "image-text-3-layers", "image-perms", "image-from-base", "image-shell"}

// listTree lists a tree as the command in it, or beside it, sees it: type,
// mode, name, target of a link; owners where they are asked for.
const listTree = `
cd "$1"; shift; format="$1"; shift
find . \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp -o -path ./run -o -path ./var -o -path ./tools \) -prune -o -print |
  grep -vxF -e ./etc/hosts -e ./etc/hostname -e ./etc/resolv.conf |
  while IFS= read -r name; do stat -c "$format %N" "$name"; done | sort
`

// TestNixTree compares what a sandbox shows with what the container's tools
// unpack of the image that is exported, and the export with the digests that
// the image JSON pins.
func TestNixTree(t *testing.T) {
	if !hasNix() {
		lacks(t, "no Nix store that can be written to: apt-get install nix-bin, as root")
	}
	needs(t, "umoci", "busybox")
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, name := range nixImages {
			t.Run(name, func(t *testing.T) { compareNixTree(t, bwrapDir, shared("nix/"+name+".json")) })
		}
	})
}

func compareNixTree(t *testing.T, bwrapDir, image string) {
	work := workDir(t)
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env, cmd.Dir = environment(t, bwrapDir, work), work
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", program, args, err, said.String())
		}
		return string(out)
	}
	oci2bwrap := shared("bin/oci2bwrap")
	if strings.HasSuffix(image, "image-shell.json") {
		image = repin(t, work, image)
	}
	run(oci2bwrap, "export", image, "layout:v1")
	checkPinned(t, image, filepath.Join(work, "layout"))

	unpack := []string{"unpack", "--image", "layout:v1", "bundle"}
	format := "%A %u:%g"
	if os.Getuid() != 0 {
		unpack = slices.Insert(unpack, 1, "--rootless")
		format = "%A" // rootless, umoci keeps no owners
	}
	run("umoci", unpack...)
	tools := filepath.Join(work, "tools")
	if err := os.Mkdir(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := copyExecutable(busybox, filepath.Join(tools, "busybox")); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "find", "grep", "stat", "sort"} {
		if err := os.Symlink("busybox", filepath.Join(tools, applet)); err != nil {
			t.Fatal(err)
		}
	}
	want := lines(run(filepath.Join(tools, "sh"), "-c", "PATH="+tools+"\n"+listTree, "sh", filepath.Join(work, "bundle/rootfs"), format))
	got := lines(run(oci2bwrap, "run", "--passwd=false", "-v", tools+":/tools:ro", "--user", "0", "--entrypoint", `["/tools/sh", "-c"]`, image,
		"PATH=/tools\n"+listTree, "sh", "/", format))
	// A volume can be written to, though the store has taken that right away.
	isVolume := func(s string) bool { return strings.HasSuffix(s, " './data'") || strings.HasSuffix(s, " ./data") }
	want, got = slices.DeleteFunc(want, isVolume), slices.DeleteFunc(got, isVolume)
	if len(want) < 20 {
		t.Fatalf("umoci's tree has only %d files", len(want))
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("the sandbox lacks %s", l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("only the sandbox has %s", l)
		}
	}
}

func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

// checkPinned holds the layout's blobs to the digests of the image JSON.
func checkPinned(t *testing.T, image, layout string) {
	t.Helper()
	for _, l := range readNixImage(t, image)["layers"].([]any) {
		digest := l.(map[string]any)["digest"].(string)
		blob, err := os.ReadFile(filepath.Join(layout, "blobs", strings.ReplaceAll(digest, ":", "/")))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(blob); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s has another content", digest)
		}
	}
}

func readNixImage(t *testing.T, image string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// repin writes the image JSON with the digest that the second layer has with
// this machine's busybox, as the refusal of the other one tells it.
func repin(t *testing.T, work, image string) string {
	t.Helper()
	cmd := exec.Command(shared("bin/oci2bwrap"), "export", image, filepath.Join(work, "pinned"))
	cmd.Env = environment(t, filepath.Dir(os.Args[0]), work)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return image // it is the very busybox
	}
	_, rest, ok := strings.Cut(string(out), "its store paths make ")
	layer := readNixImage(t, image)["layers"].([]any)[1].(map[string]any)["digest"].(string)
	if !ok || !strings.Contains(string(out), "layer 2 ("+layer+")") {
		t.Fatalf("export: %v: %s", err, out)
	}
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(work, "repinned.json")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(raw), layer, rest[:71])), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
