package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

func newCacheCmd(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look after the unpacked images",
		Long: `cache shows, removes and checks the root filesystems that run, plan and spec
have unpacked. What is removed is unpacked again when it is needed.`,
		Example: `  oci2bwrap cache list
  oci2bwrap cache prune --older-than 30d --keep 10G
  oci2bwrap cache verify`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("cache has no command %q (has: list, prune, verify)", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &hinted{errors.New("cache: no command given (has: list, prune, verify)"), "oci2bwrap cache --help shows examples"}
		},
	}
	cmd.AddCommand(newCacheListCmd(std), newCachePruneCmd(std), newCacheVerifyCmd(std))
	return cmd
}

// cacheFlags say which cache, and how it is written about.
type cacheFlags struct {
	imageFlags
	format string
}

func (f *cacheFlags) AddFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cacheDir, "cache-dir", "", "`directory` of the cache (default: $XDG_CACHE_HOME/oci2bwrap)")
	cmd.Flags().StringVar(&f.format, "format", "text", "`text` or json")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	cmd.Args = cobra.NoArgs
}

// store is the cache. Where it holds files of subordinate ids, the caller has
// to be where these are its own: then all has been done there, and the error
// is the exitStatus of that.
func (f *cacheFlags) store(std stdio) (*layout.Store, error) {
	if f.format != "text" && f.format != "json" {
		return nil, fmt.Errorf("--format: %q is not supported (has: text, json)", f.format)
	}
	dir, err := f.dir()
	if err != nil {
		return nil, err
	}
	store := &layout.Store{Dir: dir}
	if std.inside != nil || os.Geteuid() == 0 || !store.HasMapped() {
		return store, nil
	}
	m, err := subordinate(false)
	if err != nil {
		return store, nil // what is out of reach is said of each
	}
	if err := enter(std, runner.Entry{Map: *m, Path: os.Getenv("PATH"), Direct: os.Geteuid() == 0}, false); err != nil {
		return nil, err
	}
	return store, nil
}

func newCacheListCmd(std stdio) *cobra.Command {
	var f cacheFlags
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List what is in the cache, last used first",
		Example: "  oci2bwrap cache list\n  oci2bwrap cache list --format json",
		RunE: func(*cobra.Command, []string) error {
			store, err := f.store(std)
			if err != nil {
				return err
			}
			list, err := store.List()
			if list == nil && err != nil {
				return err
			}
			return errors.Join(f.writeEntries(std.out, list), err)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

func newCachePruneCmd(std stdio) *cobra.Command {
	var f cacheFlags
	var olderThan, keep string
	var all bool
	cmd := &cobra.Command{
		Use:   "prune [flags] [KEY...]",
		Short: "Remove what was not used for long, what is named, or all",
		Long: `prune removes what no running sandbox uses: what was last used longer ago than
--older-than, then what was used longest ago until --keep holds, or with --all
everything; and the roots named by a KEY, as list and verify show it. Without
any of these it removes what no start would use. It lists what it has removed.`,
		Example: "  oci2bwrap cache prune --older-than 30d\n  oci2bwrap cache prune --keep 10G\n  oci2bwrap cache prune --all",
		RunE: func(_ *cobra.Command, keys []string) error {
			store, err := f.store(std)
			if err != nil {
				return err
			}
			o := layout.PruneOptions{All: all, Keys: keys}
			if o.OlderThan, err = parseAge(olderThan); err != nil {
				return fmt.Errorf("--older-than: %w", err)
			}
			if o.KeepBytes, err = parseBytes(keep); err != nil {
				return fmt.Errorf("--keep: %w", err)
			}
			tell, done := newProgress(std, f.quiet)
			store.Progress = tell
			removed, err := store.Prune(o, time.Now())
			done()
			if err == nil && all {
				err = os.RemoveAll(filepath.Join(store.Dir, closuresDir))
			}
			if e := f.writeEntries(std.out, removed); err == nil {
				err = e
			}
			return err
		},
	}
	f.AddFlags(cmd)
	cmd.Args = cobra.ArbitraryArgs
	cmd.Flags().StringVar(&olderThan, "older-than", "", "`age`, as 30d, 12h or 90m")
	cmd.Flags().StringVar(&keep, "keep", "", "`bytes` that may stay, as 500M or 10G")
	cmd.Flags().BoolVar(&all, "all", false, "remove everything that is not in use")
	return cmd
}

func newCacheVerifyCmd(std stdio) *cobra.Command {
	var f cacheFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare the cache with what was unpacked",
		Long: `verify reads every file in the cache and names each that differs from what was
unpacked. It changes nothing: cache prune KEY... removes damaged roots, and the
next start unpacks them again.

Exit status: 0 when nothing differs, 1 when something does, 125 with a message.`,
		Example: "  oci2bwrap cache verify",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCacheVerify(cmd.Context(), &f, std)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

func runCacheVerify(ctx context.Context, f *cacheFlags, std stdio) error {
	store, err := f.store(std)
	if err != nil {
		return err
	}
	tell, done := newProgress(std, f.quiet)
	store.Progress = tell
	damage, unknown := store.Verify(ctx)
	done()
	if damage == nil && unknown != nil {
		return unknown
	}
	if f.format == "json" {
		if damage == nil {
			damage = []layout.Damage{}
		}
		err = writeJSON(std.out, damage)
	} else {
		for _, d := range damage {
			fmt.Fprintf(std.out, "%s  %s: %s\n", d.Key, printable(d.Path), printable(d.What))
		}
	}
	if err = errors.Join(err, unknown); err != nil || len(damage) == 0 {
		return err
	}
	what := damaged(damage)
	if f.cacheDir != "" {
		what = "--cache-dir " + printable(bwrap.Quote(f.cacheDir)) + " " + what
	}
	fmt.Fprintf(std.err, "hint: oci2bwrap cache prune %s removes what is damaged, and the next start unpacks it again\n", what)
	return exitStatus(1)
}

// damaged names the roots that differ, or all if they are many. Roots share
// files: one that stays would pass its damage on.
func damaged(damage []layout.Damage) string {
	const most = 5
	var keys []string
	for _, d := range damage {
		keys = append(keys, printable(d.Key))
	}
	if keys = slices.Compact(keys); len(keys) > most {
		return "--all"
	}
	return strings.Join(keys, " ")
}

// writeEntries writes a table, or a list that is never null.
func (f *cacheFlags) writeEntries(w io.Writer, list []layout.CacheEntry) error {
	if f.format == "json" {
		if list == nil {
			list = []layout.CacheEntry{}
		}
		return writeJSON(w, list)
	}
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "LAST USE\tSIZE\tOWN\tFILES\tIN USE\tIMAGE\tKEY")
	for _, e := range list {
		inUse := ""
		if e.InUse {
			inUse = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.LastUse.Format(time.DateTime), size(e.Size), size(e.Own), e.Files, inUse, printable(e.Image), e.Key)
	}
	return t.Flush()
}

// parseAge reads Go's durations and a number of days, "30d".
func parseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	var age time.Duration
	days, ok := strings.CutSuffix(s, "d")
	n, err := strconv.ParseFloat(days, 64)
	if ok && err == nil {
		age = time.Duration(n * float64(24*time.Hour))
	} else if age, err = time.ParseDuration(s); err != nil {
		return 0, fmt.Errorf("%q is no age like 30d, 12h or 90m", s)
	}
	if age <= 0 {
		return 0, fmt.Errorf("%q is not more than nothing", s)
	}
	return age, nil
}

// parseBytes reads a number of bytes with K, M, G or T behind it.
func parseBytes(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number, shift := s, 0
	if i := strings.IndexByte("KMGT", s[len(s)-1]&^0x20); i >= 0 {
		number, shift = s[:len(s)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("%q is no size like 500M or 10G", s)
	}
	return n << shift, nil
}
