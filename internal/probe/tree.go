package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Entry is a file of the root filesystem.
type Entry struct {
	Path   string            `json:"path"` // absolute, as Escape writes it
	Type   string            `json:"type"` // f, d, l, c, b, p, s; "m" for a mount that is not entered
	Mode   string            `json:"mode"`
	Owner  string            `json:"owner"`
	Size   int64             `json:"size,omitempty"`   // of a file
	Target string            `json:"target,omitempty"` // of a link, or a device's number
	Hash   string            `json:"hash,omitempty"`   // sha256 of a file's content, or why it can't be read
	Xattrs map[string]string `json:"xattrs,omitempty"`
	Fault  string            `json:"fault,omitempty"` // why a directory can't be listed
}

// Tail ends a report: without it the report was cut off.
type Tail struct {
	End    bool   `json:"end"`
	Files  int    `json:"files"`
	Digest string `json:"digest"` // sha256 of all entries' lines
}

// Head begins a report.
type Head struct {
	Version int   `json:"version"`
	Facts   Facts `json:"facts"`
}

// Less is the order of a report's entries: a directory before what is in it,
// names by their bytes.
func Less(a, b string) bool {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00")) < 0
}

// kernel are the types of file systems that hold no files of an image.
var kernel = []string{"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs", "tracefs", "bpf",
	"pstore", "configfs", "efivarfs", "fusectl", "binfmt_misc", "hugetlbfs", "devtmpfs"}

// closed names the directories that are not entered: mounts of the kernel's,
// and /dev, which the facts describe.
func closed(skip []string) map[string]bool {
	all := map[string]bool{"/dev": true, "/proc": true, "/sys": true}
	for _, s := range skip {
		all[s] = true
	}
	for _, m := range readMounts() {
		if m.is(kernel...) {
			all[m.dst] = true
		}
	}
	return all
}

// item is an entry on its way to the output: done is closed when its hash is
// known.
type item struct {
	Entry
	file string
	done chan struct{}
}

// writeTree writes every file below root, in order. Files are read by as many
// goroutines as there are processors; the queue bounds how far ahead of the
// output they are.
func writeTree(root string, skip []string, out io.Writer) (Tail, error) {
	queue := make(chan *item, 512)
	work := make(chan *item, 512)
	stop := make(chan struct{})
	defer close(stop)
	for range runtime.GOMAXPROCS(0) {
		go hashFiles(work)
	}
	go func() {
		defer close(queue)
		defer close(work)
		w := walker{root: root, closed: closed(skip), queue: queue, work: work, stop: stop}
		w.walk("/")
	}()
	sum := sha256.New()
	tail := Tail{End: true}
	for it := range queue {
		<-it.done
		line, err := json.Marshal(it.Entry)
		if err != nil {
			return tail, err
		}
		line = append(line, '\n')
		sum.Write(line)
		if _, err := out.Write(line); err != nil {
			return tail, err
		}
		tail.Files++
	}
	tail.Digest = hex.EncodeToString(sum.Sum(nil))
	return tail, nil
}

type walker struct {
	root   string
	closed map[string]bool
	queue  chan<- *item
	work   chan<- *item
	stop   <-chan struct{}
}

// walk sends what is at path and below. It says false when nobody listens any
// more.
func (w *walker) walk(path string) bool {
	file := filepath.Join(w.root, path)
	it := describe(path, file)
	dir := it.Type == "d"
	var names []string
	if dir && w.closed[path] {
		// The mode and owner of a mount are among the facts.
		it.Entry, dir = Entry{Path: it.Path, Type: "m"}, false
	}
	if dir {
		names = list(it, file)
	}
	if !w.send(it) {
		return false
	}
	for _, name := range names {
		if !w.walk(filepath.Join(path, name)) {
			return false
		}
	}
	return true
}

// list gives the names in a directory, sorted by their bytes.
func list(it *item, file string) []string {
	d, err := os.Open(file)
	if err != nil {
		it.Fault = fault(err)
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		it.Fault = fault(err)
	}
	slices.Sort(names)
	return names
}

func (w *walker) send(it *item) bool {
	select {
	case w.queue <- it:
	case <-w.stop:
		return false
	}
	if it.Type != "f" {
		close(it.done)
		return true
	}
	select {
	case w.work <- it:
		return true
	case <-w.stop:
		return false
	}
}

func describe(path, file string) *item {
	it := &item{Entry: Entry{Path: Escape(path)}, file: file, done: make(chan struct{})}
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		it.Type, it.Fault = "?", fault(err)
		return it
	}
	it.Type = kindOf(st.Mode)
	it.Mode = "0" + strconv.FormatUint(uint64(st.Mode&0o7777), 8)
	it.Owner = strconv.Itoa(int(st.Uid)) + ":" + strconv.Itoa(int(st.Gid))
	switch it.Type {
	case "f":
		it.Size = st.Size
	case "l":
		target, err := os.Readlink(file)
		it.Target, it.Mode = valueOr(Escape(target), err), ""
	case "c", "b":
		it.Target = strconv.Itoa(int(unix.Major(uint64(st.Rdev)))) + "," + strconv.Itoa(int(unix.Minor(uint64(st.Rdev))))
	}
	it.Xattrs = xattrs(file)
	return it
}

// xattrs are a file's extended attributes, apart from labels, which a security
// module makes up for every file.
func xattrs(file string) map[string]string {
	var buf [4096]byte
	n, err := unix.Llistxattr(file, buf[:])
	if err != nil || n <= 0 {
		return nil
	}
	all := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name == "security.selinux" {
			continue
		}
		value := make([]byte, 65536)
		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			all[name] = fault(err)
			continue
		}
		all[name] = hex.EncodeToString(value[:n])
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func hashFiles(work <-chan *item) {
	sum, buf := sha256.New(), make([]byte, 128<<10)
	for it := range work {
		it.Hash = hashFile(it.file, sum, buf)
		close(it.done)
	}
}

func hashFile(file string, sum hash.Hash, buf []byte) string {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fault(err)
	}
	defer unix.Close(fd)
	sum.Reset()
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fault(err)
		}
		if n == 0 {
			return hex.EncodeToString(sum.Sum(nil))
		}
		sum.Write(buf[:n])
	}
}
