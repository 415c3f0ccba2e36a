package layout

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	asUser  = "LAYOUT_TEST_AS_USER"
	ggcrEnv = "LAYOUT_TEST_GGCR"
)

// TestAsOrdinaryUser runs the package's tests once more, without privilege.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(asUser) != "" {
		t.Skip("tests run as an ordinary user already")
	}
	const id = 65534
	dir, err := os.MkdirTemp("", "layout-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	work := filepath.Join(dir, "tmp")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(work, 0o700), os.Chown(work, id, id)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// The test binary itself lies where only root may look.
	self := filepath.Join(dir, "layout.test")
	if err := copyFile(self, "/proc/self/exe"); err != nil {
		t.Fatal(err)
	}
	ggcr := filepath.Join(dir, "ggcr")
	for _, data := range []string{"pkg/v1/layout/testdata", "pkg/v1/tarball/testdata"} {
		if err := os.CopyFS(filepath.Join(ggcr, data), os.DirFS(filepath.Join(ggcrDir(t), data))); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(self, "-test.short", "-test.skip=^(TestLimits|TestSelection|TestLayerStreams|TestSpoiledBlob|TestSparse|TestSHA512|TestParseRef|Fuzz.*)$")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), asUser+"=1", ggcrEnv+"="+ggcr, "TMPDIR="+work, "HOME="+work)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(to, 0o755)
	}
	return err
}

func TestRealOwnership(t *testing.T) {
	if os.Geteuid() != 0 {
		err := Unpack(t.Context(), imageOf(t), filepath.Join(tempDir(t), "r"), UnpackOptions{Ownership: Real})
		if err == nil || !strings.Contains(err.Error(), "needs root") {
			t.Errorf("got %v", err)
		}
		return
	}
	// VFS_CAP_REVISION_2, cap_net_raw permitted.
	capNetRaw := "\x00\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ping := entry('0', "ping", 0o4755)
	ping.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capNetRaw}
	root, err := unpackLayers(t, UnpackOptions{Ownership: Real}, entries{
		folder("d", 0o2750), ping, symlink("s", "d"), entry('6', "p", 0o644), file("implied/f", ""), hard("h", "ping"), device("null", 1, 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"d": 1234, "ping": 1234, "s": 1234, "p": 1234, "h": 1234, "implied": 0, ".": 0} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(root, name), &st); err != nil || int(st.Uid) != want {
			t.Errorf("%s: owner %d, %v", name, st.Uid, err)
		}
		if name == "ping" && st.Mode&0o7777 != 0o4755 {
			t.Errorf("ping: mode %o", st.Mode)
		}
	}
	buf := make([]byte, 100)
	n, err := unix.Lgetxattr(filepath.Join(root, "ping"), capability, buf)
	if err != nil || string(buf[:n]) != capNetRaw {
		t.Errorf("ping: capability %q, %v", buf[:max(n, 0)], err)
	}
	bad := file("f", "")
	bad.Uid = 1 << 32
	if _, err := unpackLayers(t, UnpackOptions{Ownership: Real}, entries{bad}); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("got %v", err)
	}
	if _, err := unpackLayers(t, UnpackOptions{}, entries{bad}); err != nil {
		t.Errorf("owners are ignored as caller: %v", err)
	}
}

func TestDevices(t *testing.T) {
	var skipped []Skipped
	root, err := unpackLayers(t, UnpackOptions{Devices: true, OnSkip: func(s Skipped) { skipped = append(skipped, s) }},
		entries{device("null", 1, 3), device("white", 0, 0), hard("nil", "null")})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err = unix.Stat(filepath.Join(root, "null"), &st); err != nil {
		// Not allowed, then left out with its links.
		if len(skipped) != 3 || skipped[0].Path != "null" || skipped[2].Path != "nil" {
			t.Errorf("skipped %v", skipped)
		}
		return
	}
	if st.Mode != unix.S_IFCHR|0o666 || st.Rdev != unix.Mkdev(1, 3) || st.Nlink != 2 {
		t.Errorf("null: mode %o, device %x, %d links", st.Mode, st.Rdev, st.Nlink)
	}
	if len(skipped) != 1 || skipped[0].Path != "white" {
		t.Errorf("skipped %v", skipped)
	}
}

func TestUnpackInto(t *testing.T) {
	good, bad := imageOf(t, plainLayers(archive(t, file("f", "1")))...), imageOf(t, plainLayers(archive(t, folder("c", 0), file("c/d/f", "1"), file("../x", "")))...)
	dir := tempDir(t)
	os.Chmod(dir, 0o750)
	if err := Unpack(t.Context(), bad, dir, UnpackOptions{}); err == nil {
		t.Fatal("unpacked")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 || names(t, dir) != nil {
		t.Errorf("after failure: %v, %v, %v", info.Mode(), names(t, dir), err)
	}
	if err := Unpack(t.Context(), good, dir, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), good, dir, UnpackOptions{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if err := Unpack(t.Context(), good, filepath.Join(dir, "f"), UnpackOptions{}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v", err)
	}
}
