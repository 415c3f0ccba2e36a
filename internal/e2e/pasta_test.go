package e2e_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// tun is what pasta makes its interface with; TestAsOrdinaryUser sees to it that
// everybody may open it, as on most hosts.
const tun = "/dev/net/tun"

func needPasta(t *testing.T) {
	t.Helper()
	needImages(t)
	needs(t, "pasta")
	f, err := os.OpenFile(tun, os.O_RDWR, 0)
	if err != nil {
		lacks(t, "pasta has to open it: "+err.Error())
	}
	f.Close()
}

// freePort is one of the host's that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// TestPasta asks a service in the sandbox from outside. Its network is up when
// the command starts, and nothing is left of pasta when it has ended.
func TestPasta(t *testing.T) {
	needPasta(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		port := freePort(t)
		s := start(t, bwrapDir, "ip -o addr >/sync/addr; ip route >/sync/route; touch /sync/ready; echo hello | nc -l -p 80",
			"--network", "pasta", "-p", "127.0.0.1:"+port+":80", "-p", "127.0.0.1:"+port+":53/udp")
		s.ready()
		if l, err := net.ListenPacket("udp", "127.0.0.1:"+port); err == nil {
			l.Close()
			t.Error("the datagram port of the host's is free")
		}
		var got []byte
		eventually(t, "the service answers", func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				return false
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(2 * time.Second))
			got, _ = io.ReadAll(c)
			return len(got) > 0
		})
		if string(got) != "hello\n" {
			t.Errorf("the service says %q", got)
		}
		s.ends(0)
		for file, want := range map[string]string{"addr": "inet 127.0.0.1/8", "route": "default via "} {
			if data, err := os.ReadFile(filepath.Join(s.sync, file)); err != nil || !bytes.Contains(data, []byte(want)) {
				t.Errorf("%s is %q (%v), want %q in it", file, data, err, want)
			}
		}
		if left := processes("127.0.0.1/" + port); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestPastaEnds kills oci2bwrap in two ways, after which nothing may be left.
func TestPastaEnds(t *testing.T) {
	needPasta(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			t.Run(signal.String(), func(t *testing.T) {
				port := freePort(t)
				s := start(t, bwrapDir, "trap 'exit 3' USR1; touch /sync/ready; while :; do sleep 0.05; done # $MARKER",
					"--network", "pasta", "-p", port+":80")
				s.ready()
				if len(processes(port+":80")) < 2 {
					t.Fatal("pasta does not run")
				}
				s.signal(signal)
				_ = s.Wait()
				eventually(t, "everything has ended", func() bool { return len(processes(port+":80")) == 0 && len(processes(s.marker)) == 0 })
			})
		}
	})
}

// TestPastaStart fails to start it.
func TestPastaStart(t *testing.T) {
	needPasta(t)
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		u, err := net.ListenPacket("udp4", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		datagrams := strconv.Itoa(u.LocalAddr().(*net.UDPAddr).Port)
		for _, test := range []struct {
			flags []string
			want  string
		}{
			{[]string{"-p", "127.0.0.1:" + taken + ":80", "--network", "pasta"}, "oci2bwrap: pasta: .*" + taken + ".*\nhint: choose other ports.*\n"},
			{[]string{"-p", taken + ":80", "--network", "pasta"}, "oci2bwrap: pasta: port " + taken + "/tcp of the host's: address already in use\nhint: choose other ports.*\n"},
			{[]string{"-p", datagrams + ":80/udp", "--network", "pasta"}, "oci2bwrap: pasta: port " + datagrams + "/udp of the host's: address already in use\nhint: choose other ports.*\n"},
			{[]string{"--network", "pasta:--no-such-option"}, "oci2bwrap: pasta: .*no-such-option.*\n"},
		} {
			s := start(t, bwrapDir, "touch /sync/ready", test.flags...)
			s.ends(125)
			if got := s.out.String(); !regexp.MustCompile("^" + test.want + "$").MatchString(got) {
				t.Errorf("%q says %q, want %q", test.flags, got, test.want)
			}
			if _, err := os.Stat(filepath.Join(s.sync, "ready")); !errors.Is(err, os.ErrNotExist) {
				t.Error("the command has run")
			}
		}
	})
	t.Run("not installed", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"bwrap"} {
			if err := os.Symlink("/usr/bin/"+name, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		env := environment(t, dir, workDir(t))
		env[0] = "PATH=" + dir
		if got := output(t, 125, env, shared("bin/oci2bwrap"), "run", "--network", "pasta", shared("images/tools"), "true"); got != "" {
			t.Errorf("printed %q", got)
		}
	})
}
