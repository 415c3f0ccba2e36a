package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The users that root's run makes for the other runs. They are system users,
// for which no subordinate ids are set aside; one is given some.
const (
	ordinary = "oci2bwrap-e2e"
	withIDs  = "oci2bwrap-e2e-ids"
)

// TestAsOrdinaryUser runs every other test once more, as an ordinary user, in a
// process of its own, whose output is this test's.
func TestAsOrdinaryUser(t *testing.T) {
	asUser(t, ordinary)
}

// TestAsUserWithIDs does it as a user with subordinate ids.
func TestAsUserWithIDs(t *testing.T) {
	needs(t, "newuidmap", "newgidmap")
	asUser(t, withIDs)
}

func asUser(t *testing.T, name string) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user; the tests run as an ordinary one as it is")
	}
	account := makeUser(t, name)
	home := t.TempDir()
	for dir := home; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(home, int(account.Uid), int(account.Gid)); err != nil {
		t.Fatal(err)
	}

	args := []string{"-test.count=1", "-test.skip=^TestAs"}
	// -run 'TestAsOrdinaryUser|TestX' is TestX for both.
	if run := flag.Lookup("test.run").Value.String(); strings.Contains(run, "|") {
		args = append(args, "-test.run="+run)
	}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	// Of this run there is only this test, so -run can't say it.
	if some := os.Getenv("OCI2BWRAP_E2E_RUN"); some != "" {
		args = append(args, "-test.run="+some)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(soak(10, 120))*time.Minute)
	defer cancel()
	args = append(withDevices(t, account), append([]string{shared("e2e.test")}, args...)...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home,
		sharedVar + "=" + os.Getenv(sharedVar), "CI=" + os.Getenv("CI"), "OCI2BWRAP_SOAK=" + os.Getenv("OCI2BWRAP_SOAK"),
	}
	cmd.WaitDelay = 10 * time.Second // for what a killed test leaves behind with our pipe
	out, err := cmd.CombinedOutput()
	t.Logf("as %s:\n%s", name, out)
	if err != nil {
		t.Fatal(err)
	}
}

// withDevices starts a program as the user, where everybody may open the devices
// that pasta and fuse-overlayfs need, as on most hosts: by nodes in a private mount
// namespace where the machine's are not so.
func withDevices(t *testing.T, account *syscall.Credential) []string {
	t.Helper()
	needs(t, "setpriv", "unshare")
	become := []string{"setpriv", "--reuid", fmt.Sprint(account.Uid), "--regid", fmt.Sprint(account.Gid), "--clear-groups"}
	var binds []string
	for _, device := range []string{tun, "/dev/fuse"} {
		info, err := os.Stat(device)
		if err != nil || info.Mode().Perm()&0o006 == 0o006 {
			continue // where there is none, the tests that want it say so
		}
		node := shared(filepath.Base(device))
		if err := syscall.Mknod(node, syscall.S_IFCHR|0o666, int(info.Sys().(*syscall.Stat_t).Rdev)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		if err := os.Chmod(node, 0o666); err != nil {
			t.Fatal(err)
		}
		binds = append(binds, node, device)
	}
	if len(binds) == 0 {
		return become
	}
	const bind = `while [ "$1" != -- ]; do mount --bind "$1" "$2" && shift 2 || exit; done; shift; exec "$@"`
	return slices.Concat([]string{"unshare", "--mount", "sh", "-c", bind, "sh"}, binds, []string{"--"}, become)
}

// makeUser returns the user and removes it after the test where it was not
// there before.
func makeUser(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup(name)
	if unknown := (user.UnknownUserError("")); errors.As(err, &unknown) {
		needs(t, "useradd")
		if out, err := exec.Command("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/sh", name).CombinedOutput(); err != nil {
			t.Fatalf("useradd: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("userdel", name).CombinedOutput(); err != nil {
				t.Errorf("userdel: %v: %s", err, out)
			}
		})
		if name == withIDs {
			needs(t, "usermod")
			if out, err := exec.Command("usermod", "--add-subuids", "300000-365535", "--add-subgids", "300000-365535", name).CombinedOutput(); err != nil {
				t.Fatalf("usermod: %v: %s", err, out)
			}
		}
		account, err = user.Lookup(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	credential, err := credentialOf(account)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

func credentialOf(account *user.User) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("uid of %s: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("gid of %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// oneID says that sandboxes of who runs the tests have a single id.
func oneID(t testing.TB) bool {
	t.Helper()
	ids, err := hasIDs()
	if err != nil {
		t.Fatal(err)
	}
	return os.Getuid() != 0 && !ids
}

// hasIDs says whether the ordinary user who runs the tests has subordinate
// ids.
func hasIDs() (bool, error) {
	self, err := user.Current()
	if err != nil || self.Uid == "0" {
		return false, err
	}
	data, err := os.ReadFile("/etc/subuid")
	return strings.Contains("\n"+string(data), "\n"+self.Username+":"), err
}
