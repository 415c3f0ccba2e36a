package imports_test

import (
	"fmt"
	"slices"
	"strings"
)

// pkg is a package as go list prints it, as far as the rules look at it. Tests
// are not part of it: they may import what they like.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// edge is the wish of Package to import one of ours, which is allowed. Both are
// patterns relative to the module.
type edge struct{ From, To string }

// ban keeps Import out of every package of ours that Except does not match. With
// Only set it holds for the packages that match it and for no others.
type ban struct {
	Import string   // pattern of import paths
	Only   []string // patterns relative to the module
	Except []string
	Reason string
}

// match reports whether path is pattern, or below it where pattern ends in "/...".
func match(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return path == pattern
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

// ownImports returns a line for every import between packages of module that no
// edge allows, with reason.
func ownImports(module string, packages []pkg, allowed []edge, reason string) []string {
	var faults []string
	for _, p := range packages {
		from, ok := relative(module, p.ImportPath)
		if !ok {
			continue
		}
		for _, imported := range p.Imports {
			to, ok := relative(module, imported)
			if !ok || slices.ContainsFunc(allowed, func(e edge) bool { return match(e.From, from) && match(e.To, to) }) {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s imports %s: %s", from, to, reason))
		}
	}
	return faults
}

// bannedImports returns a line for every import of a package of module that a ban
// forbids it.
func bannedImports(module string, packages []pkg, bans []ban) []string {
	var faults []string
	for _, p := range packages {
		from, ok := relative(module, p.ImportPath)
		if !ok {
			continue
		}
		for _, b := range bans {
			if b.Only != nil && !matchAny(b.Only, from) || matchAny(b.Except, from) {
				continue
			}
			for _, imported := range p.Imports {
				if match(b.Import, imported) {
					faults = append(faults, fmt.Sprintf("%s imports %s: %s", from, imported, b.Reason))
				}
			}
		}
	}
	return faults
}

// bannedDependencies returns a line for every package of a binary's closure that
// a ban forbids, with a way from root to it.
func bannedDependencies(root string, closure []pkg, bans []ban) []string {
	var faults []string
	for _, p := range closure {
		for _, b := range bans {
			if match(b.Import, p.ImportPath) {
				way := strings.Join(shortestWay(root, p.ImportPath, closure), " → ")
				faults = append(faults, fmt.Sprintf("%s is in the binary: %s (%s)", p.ImportPath, b.Reason, way))
			}
		}
	}
	return faults
}

// shortestWay returns the import paths from root to target, both included.
func shortestWay(root, target string, closure []pkg) []string {
	imports := map[string][]string{}
	for _, p := range closure {
		imports[p.ImportPath] = p.Imports
	}
	from := map[string]string{root: ""}
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		for _, next := range imports[queue[0]] {
			if _, seen := from[next]; !seen {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var way []string
	for at := target; at != ""; at = from[at] {
		way = append(way, at)
	}
	slices.Reverse(way)
	return way
}

// relative returns path below module, "." for module itself.
func relative(module, path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}
