package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestServices runs what people run containers for: services that start as root,
// take their directories over, become another user, and end on a signal of their
// own.
func TestServices(t *testing.T) {
	if oneID(t) {
		t.Skip("a service that becomes another user needs root, or subordinate ids, which this user has none of")
	}
	if _, err := os.Stat(shared("services")); err != nil {
		lacks(t, "OCI2BWRAP_FIXTURES names no directory with the images of services: make test builds them as root")
	}
	home := workDir(t) // one cache for all
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		env := environment(t, bwrapDir, home)
		t.Run("nginx", func(t *testing.T) { testNginx(t, env) })
		t.Run("redis", func(t *testing.T) { testRedis(t, env) })
		t.Run("postgres", func(t *testing.T) { testPostgres(t, env) })
	})
}

// service is a run of an image that serves until it is told to stop.
type service struct {
	*exec.Cmd
	t           *testing.T
	out, errors locked
}

func serve(t *testing.T, env []string, args ...string) *service {
	t.Helper()
	s := &service{t: t, Cmd: exec.Command(shared("bin/oci2bwrap"), append([]string{"run", "--quiet"}, args...)...)}
	s.Env, s.Stdout, s.Stderr = env, &s.out, &s.errors
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = s.Wait()
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", s.out.String(), s.errors.String())
		}
	})
	return s
}

// stop sends SIGTERM, which becomes the image's own signal, and the service ends
// as it does when all is well.
func (s *service) stop() {
	s.t.Helper()
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		s.t.Errorf("the service ended with %v", err)
	}
}

// says waits until both streams together hold the text.
func (s *service) says(text string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("the service says %q", text), func() bool {
		return strings.Contains(s.out.String()+s.errors.String(), text)
	})
}

// testNginx wants a root that can be written to, and its log on stdout, which is
// a link to /dev/stdout. SIGQUIT, its STOPSIGNAL, ends it in good order.
func testNginx(t *testing.T, env []string) {
	for _, flags := range [][]string{{"--read-only"}, {"--writable"}} {
		s := serve(t, env, append(flags, shared("services/nginx")+":v1")...)
		eventually(t, "nginx answers", func() bool {
			r, err := http.Get("http://127.0.0.1:8089/")
			if err != nil {
				return false
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			return err == nil && string(body) == "served by nginx\n"
		})
		eventually(t, "the access log is on stdout", func() bool { return strings.Contains(s.out.String(), `"GET / HTTP/1.1" 200`) })
		s.stop()
	}
}

// testRedis hands the volume over to its user, and talks through a socket there.
func testRedis(t *testing.T, env []string) {
	data := givenAway(t, env, "data") + "/data"
	for _, request := range []struct{ send, want string }{
		{"SET key value\r\n", "+OK\r\n"},
		{"GET key\r\n", "$5\r\nvalue\r\n"}, // by another run on the same data
	} {
		s := serve(t, env, "-v", data+":/data", shared("services/redis")+":v1",
			"redis-server", "--port", "0", "--unixsocket", "redis.sock", "--unixsocketperm", "777", "--appendonly", "yes")
		s.says("ready to accept connections")
		if got := ask(t, filepath.Join(data, "redis.sock"), request.send, len(request.want)); got != request.want {
			t.Errorf("%q: answer %q, want %q", request.send, got, request.want)
		}
		s.stop()
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(data, "appendonlydir"), &st); err != nil || int(st.Uid) == os.Getuid() {
		t.Errorf("the data belongs to %d, %v; want redis's user", st.Uid, err)
	}

	// An anonymous volume has what the image has there, which is root's.
	out := output(t, 0, env, shared("bin/oci2bwrap"), "run", "--quiet", shared("services/redis")+":v1", "sh", "-c", "stat -c %U of-root . && id -un && id -Gn")
	if want := "redis\nredis\nredis\nredis\n"; out != want {
		t.Errorf("owners and ids: %q, want %q", out, want)
	}
}

// givenAway makes a directory with directories that services will own, and has
// their content removed by who may.
func givenAway(t *testing.T, env []string, names ...string) string {
	t.Helper()
	work := workDir(t)
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(work, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		cleanUp(t, env, "run", "--quiet", "--entrypoint", "sh", "-v", work+":/work", shared("services/redis")+":v1", "-c", "rm -rf /work/*")
	})
	return work
}

func ask(t *testing.T, socket, request string, length int) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, length)
	n, err := io.ReadFull(c, answer)
	if err != nil {
		t.Error(err)
	}
	return string(answer[:n])
}

// testPostgres makes a database, and finds it again. The client is another
// sandbox of the same image.
func testPostgres(t *testing.T, env []string) {
	work := givenAway(t, env, "data", "socket")
	image := shared("services/postgres")
	for _, query := range []struct{ send, want string }{
		{"create table t as select 6*7 as n; select n from t", "SELECT 1\n42\n"},
		{"select n from t", "42\n"},
	} {
		s := serve(t, env, "-v", work+"/data:/var/lib/postgresql/data", "-v", work+"/socket:/var/run/postgresql", image)
		s.says("database system is ready to accept connections")
		out := output(t, 0, env, shared("bin/oci2bwrap"), "run", "--quiet", "--user", "nobody", "--entrypoint", "psql",
			"-v", work+"/socket:/socket", image, "--host", "/socket", "--username", "postgres", "--tuples-only", "--no-align", "--command", query.send)
		if out != query.want {
			t.Errorf("%q: answer %q, want %q", query.send, out, query.want)
		}
		s.stop()
		s.says("received fast shutdown request") // SIGINT's, the STOPSIGNAL
	}
}

// locked is a buffer that is read while a process writes it.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
