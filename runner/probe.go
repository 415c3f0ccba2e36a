package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// Prober finds out what bubblewrap and the host can do: from the text of
// `bwrap --help`, and by trying.
type Prober struct {
	Bwrap    string // absolute path of bubblewrap
	StageDir string // an existing directory to mount over in a private namespace
	CacheDir string // where the answer is kept; "" asks anew each time
	Real     bool   // the caller is root and stays it
	Mapped   bool   // as in Config

	// FuseOverlay is what FindFuseOverlay has found. It is tried where the
	// kernel mounts no overlay.
	FuseOverlay string
}

// Features gives the answer. One in which everything was found is remembered
// by the identity of the binary, the kernel and the caller; anything less is
// asked again, since its remedy may have been applied.
func (p Prober) Features(ctx context.Context) (bwrap.Features, error) {
	key, err := p.key()
	if err != nil {
		return bwrap.Features{}, err
	}
	file := filepath.Join(p.CacheDir, "bwrap-"+key+".json")
	if p.CacheDir != "" {
		if data, err := os.ReadFile(file); err == nil {
			var f bwrap.Features
			if json.Unmarshal(data, &f) == nil && f.Stage && f.StageOverlay {
				f.FuseOverlay = p.FuseOverlay
				return f, nil
			}
		}
	}
	f, err := p.ask(ctx)
	if err != nil {
		return f, err
	}
	if f.Stage && f.StageOverlay {
		if p.CacheDir != "" {
			remember(file, f)
		}
		f.FuseOverlay = p.FuseOverlay
	}
	return f, nil
}

// remember writes the answer beside and renames it. A cache that can't be
// written costs time, nothing else.
func remember(file string, f bwrap.Features) {
	data, err := json.Marshal(f)
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".bwrap-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(data)
	if e := tmp.Close(); err != nil || e != nil || os.Rename(tmp.Name(), file) != nil {
		os.Remove(tmp.Name())
	}
}

func (p Prober) key() (string, error) {
	path, err := filepath.EvalSymlinks(p.Bwrap)
	if err != nil {
		return "", fmt.Errorf("bubblewrap: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("bubblewrap: %s: %w", path, err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, 2, path, st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim, unix.ByteSliceToString(u.Release[:]), os.Geteuid(), p.Real, p.Mapped)
	return fmt.Sprintf("%x", h.Sum(nil)[:12]), nil
}

// options asks bubblewrap for its options, which have to be enough.
func (p Prober) options(ctx context.Context) (bwrap.Features, error) {
	var f bwrap.Features
	help := exec.CommandContext(ctx, p.Bwrap, "--help")
	help.Env = []string{}
	out, err := help.CombinedOutput()
	if f.Options = bwrap.ParseHelp(string(out)); len(f.Options) == 0 {
		return f, &Error{Msg: fmt.Sprintf("%s --help lists no options", p.Bwrap), Err: err, Remedy: "install bubblewrap 0.8 or later"}
	}
	if missing := lacking(f); len(missing) > 0 {
		return f, &Error{Msg: fmt.Sprintf("%s is too old: it lacks %s", p.Bwrap, strings.Join(missing, ", ")), Remedy: "install bubblewrap 0.8 or later"}
	}
	return f, nil
}

func (p Prober) ask(ctx context.Context) (bwrap.Features, error) {
	f, err := p.options(ctx)
	if err != nil {
		return f, err
	}
	if err := p.try(bwrap.Bind{Src: "/usr", Dst: "/", ReadOnly: true}, ""); err != nil {
		f.Reason = err.Error()
		return f, p.without(ctx, err)
	}
	f.Stage = true
	overlay := bwrap.Overlay{Lower: []string{"/usr"}, Dst: "/", Mode: 0o755}
	if err := p.try(overlay, ""); err != nil {
		f.Reason = err.Error()
		if p.FuseOverlay != "" && p.try(overlay, p.FuseOverlay) == nil {
			f.FuseOverlay = p.FuseOverlay
		}
		return f, nil
	}
	f.StageOverlay = true
	f.Overlay = f.Has("overlay-src")
	return f, nil
}

// without says whether bubblewrap can make a user namespace, where this
// program, for the reason given, can't: set-uid root it can, and where a
// profile of AppArmor's lets it.
func (p Prober) without(ctx context.Context, reason error) error {
	if p.Real {
		return nil
	}
	trial := exec.CommandContext(ctx, p.Bwrap, "--unshare-user", "--ro-bind", "/", "/", "--", p.Bwrap, "--version")
	trial.Env = []string{}
	if out, err := trial.CombinedOutput(); err != nil {
		if errors.Is(reason, unix.EPERM) && strings.Contains(string(out), "setting up uid map") && os.Geteuid() == 0 {
			return &Error{Msg: "user namespaces are not available", Err: reason, Remedy: remedySetfcap}
		}
		return &Error{Msg: "user namespaces are not available", Err: reason, Remedy: namespaceRemedy("/proc", reason)}
	}
	return nil
}

// lacking names the options that every sandbox needs and this bubblewrap
// does not list.
func lacking(f bwrap.Features) []string {
	var missing []string
	for _, o := range []string{"args", "as-pid-1", "chmod", "clearenv", "perms", "size", "ro-bind-data", "unshare-user"} {
		if !f.Has(o) {
			missing = append(missing, "--"+o)
		}
	}
	return missing
}

// try makes a stage of one operation and drops it; fuse is as in a Stage.
func (p Prober) try(op bwrap.Op, fuse string) error {
	s := &bwrap.Stage{Dir: p.StageDir, Ops: []bwrap.Op{op}, FuseOverlay: fuse}
	if p.Real {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // the namespace goes with the thread
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				done <- err
				return
			}
			_, err := mountStage(s, p.Mapped, true, nil)
			done <- err
		}()
		return <-done
	}
	doc, err := newStageSpec(s)
	if err != nil {
		return err
	}
	spec, err := stageFile(doc)
	if err != nil {
		return err
	}
	defer spec.Close()
	var said bytes.Buffer
	l := launch{Config: Config{Private: true, Command: &bwrap.Command{Stage: s}}}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"oci2bwrap", stageWord, "3"}, Env: []string{},
		ExtraFiles: []*os.File{spec}, Stderr: &said, SysProcAttr: l.attributes(),
	}
	cmd.SysProcAttr.Pdeathsig = syscall.Signal(0) // this goroutine's thread may end first
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			return fmt.Errorf("%s", text)
		}
		return fmt.Errorf("new user namespace: %w", err)
	}
	return nil
}
