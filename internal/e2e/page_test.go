package e2e_test

import (
	"context"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestParityPage opens parity's page in a real browser: what it has made of the
// page must hold the verdict, both sides and both mount trees, and a picture of it
// must show colours.
func TestParityPage(t *testing.T) {
	needs(t, "chromium", "runc", "bwrap")
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	if os.Getuid() != 0 {
		t.Skip("the page is the same whoever made it")
	}
	work := workDir(t)
	env := environment(t, "/usr/bin", work)
	page := filepath.Join(work, "parity.html")
	html := output(t, 1, env, shared("bin/oci2bwrap"), "parity", "--against", "runc", "--format", "html", shared("images/tools"), "--",
		"sh", "-c", "echo '<script>document.title=1</script>'$container; readlink /proc/self/ns/mnt")
	if err := os.WriteFile(page, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}

	dom := browse(t, work, "--dump-dom", "file://"+page)
	for _, want := range []string{
		"<title>parity: different: 1 difference unexplained", `<header class="different">`, "runc 1.", "explained: ",
		"<b>/proc</b>", "<b>/etc/hosts</b>", `<td class="none"></td>`, "stdout line     2",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the browser's document has no %q", want)
		}
	}
	if strings.Contains(dom, "<script>") || strings.Contains(html, "http://") || strings.Contains(html, "https://") {
		t.Error("the page has a script, or needs something from elsewhere")
	}

	browse(t, work, "--window-size=1200,1600", "--screenshot="+filepath.Join(work, "page.png"), "file://"+page)
	file, err := os.Open(filepath.Join(work, "page.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	red := 0 // the verdict's banner
	for y := range 200 {
		for x := 0; x < picture.Bounds().Dx(); x += 4 {
			if r, g, b, _ := picture.At(x, y).RGBA(); r > 0x9000 && g < 0x5000 && b < 0x5000 {
				red++
			}
		}
	}
	if red < 1000 {
		t.Errorf("the picture shows no banner: %d red points", red)
	}
}

// browse has chromium do something with a page and gives what it prints.
func browse(t *testing.T, work string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(work, "browser")}, args...)
	cmd := exec.CommandContext(ctx, "chromium", args...)
	cmd.Env = append(os.Environ(), "HOME="+work)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}
