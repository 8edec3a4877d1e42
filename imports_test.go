package microtrust_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// importCheck walks the imports of packages against a table of rules.
type importCheck struct {
	rules    map[string]importRule
	imports  int
	used     map[string]map[string]bool // module of others → directories whose code (or tests) import it
	findings []string
}

func (c *importCheck) find(format string, args ...any) {
	c.findings = append(c.findings, fmt.Sprintf(format, args...))
}

func isExample(dir string) bool { return strings.HasPrefix(dir, "examples/") }

// run checks every package and returns what is wrong, sorted.
func (c *importCheck) run(packages []*goPackage) []string {
	c.used = map[string]map[string]bool{}
	seen := map[string]bool{}
	for _, p := range packages {
		rule, ok := c.rules[p.dir]
		if !ok {
			c.find("%s: a package without a rule", p.dir)
			continue
		}
		seen[p.dir] = true
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				c.imports++
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					c.find("%s: %v", f.path, err)
					continue
				}
				c.one(p.dir, rule, f, name)
			}
		}
	}
	for dir, rule := range c.rules {
		if !seen[dir] {
			c.find("%s: a rule without a package", dir)
			continue
		}
		for _, module := range slices.Concat(rule.modules, rule.tests) {
			if !c.used[module][dir] {
				c.find("%s: may import %s and does not", dir, module)
			}
		}
		for _, arrow := range rule.arrows {
			if _, ok := c.rules[arrow]; !ok {
				c.find("%s: an arrow to %s, which has no rule", dir, arrow)
			}
		}
	}
	slices.Sort(c.findings)
	return c.findings
}

// one checks a single import.
func (c *importCheck) one(dir string, rule importRule, f *goFile, name string) {
	if inside, ok := strings.CutPrefix(name+"/", modulePath+"/"); ok {
		c.arrow(dir, rule, f, strings.TrimSuffix(inside, "/"))
		return
	}
	if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
		c.module(dir, rule, f, name)
		return
	}
	if f.test {
		if reason, ok := deniedInTests[name]; ok {
			c.find("%s: imports %s: %s", f.path, name, reason)
		}
		return
	}
	if slices.Contains(rule.denied, name) {
		c.find("%s: imports %s, which %s does without", f.path, name, dir)
	}
	if reason, ok := deniedEverywhere[name]; ok && !isExample(dir) && !rule.allows(name) {
		c.find("%s: imports %s: %s", f.path, name, reason)
	}
}

// allows reports whether a package that is denied everywhere may be imported for what this one is.
func (r importRule) allows(name string) bool {
	return r.kit && (name == "testing" || name == "os/exec") || r.program && (name == "flag" || name == "os/exec")
}

// arrow checks an import of a package of this module.
func (c *importCheck) arrow(dir string, rule importRule, f *goFile, target string) {
	if slices.Contains(rule.arrows, target) {
		return
	}
	if f.test && (target == dir || slices.Contains(testPackages, target) || c.reachable(dir)[target]) {
		return
	}
	c.find("%s: the arrow %s → %s is not in the table", f.path, dir, target)
}

// reachable returns every package that dir may come to through arrows.
func (c *importCheck) reachable(dir string) map[string]bool {
	found := map[string]bool{}
	next := slices.Clone(c.rules[dir].arrows)
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		if !found[at] {
			found[at] = true
			next = append(next, c.rules[at].arrows...)
		}
	}
	return found
}

// module checks an import of somebody else's module.
func (c *importCheck) module(dir string, rule importRule, f *goFile, name string) {
	allowed := slices.Clone(rule.modules)
	if f.test {
		allowed = slices.Concat(allowed, testModules, rule.tests)
	}
	if isExample(dir) {
		allowed = append(allowed, exampleModules...)
	}
	for _, module := range allowed {
		if name == module || strings.HasPrefix(name, module+"/") {
			if c.used[module] == nil {
				c.used[module] = map[string]bool{}
			}
			c.used[module][dir] = true
			return
		}
	}
	c.find("%s: %s may not import %s", f.path, dir, name)
}

func TestImportsFollowTheTable(t *testing.T) {
	check := &importCheck{rules: importRules}
	packages := loadPackages(t)
	for _, finding := range check.run(packages) {
		t.Error(finding)
	}
	for _, module := range slices.Concat(testModules, exampleModules) {
		if len(check.used[module]) == 0 {
			t.Errorf("%s: may be imported and is not", module)
		}
	}
	t.Logf("%d packages, %d rules, %d imports", len(packages), len(importRules), check.imports)
	require.GreaterOrEqual(t, len(packages), 12, "packages")
	require.GreaterOrEqual(t, check.imports, 400, "imports")
}

// TestRequiredModulesAreListed: a module that go.mod requires directly is in some rule, and the other way round.
func TestRequiredModulesAreListed(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	listed := slices.Concat(testModules, exampleModules)
	for _, rule := range importRules {
		listed = slices.Concat(listed, rule.modules, rule.tests)
	}
	required := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+) v\S+( // indirect)?$`).FindAllStringSubmatch(string(text), -1) {
		required[match[1]] = true
		if match[2] == "" && !slices.Contains(listed, match[1]) {
			t.Errorf("go.mod requires %s, which no rule lists", match[1])
		}
	}
	for _, module := range listed {
		if !required[module] {
			t.Errorf("a rule lists %s, which go.mod does not require", module)
		}
	}
	require.GreaterOrEqual(t, len(required), 10, "modules in go.mod: %v", slices.Sorted(maps.Keys(required)))
}

// TestWhoImportsTrustLinksNoMore: what only some programs need stays out of all others.
func TestWhoImportsTrustLinksNoMore(t *testing.T) {
	deps := func(target string) []string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", target).Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	banned := regexp.MustCompile(`^(database/sql|filippo\.io/|go\.yaml\.in/|modernc\.org/|go\.etcd\.io/|google\.golang\.org/|.*sqlite.*)(/|$)?`)
	all := deps("./trust")
	require.GreaterOrEqual(t, len(all), 150, "packages")
	require.Contains(t, all, modulePath+"/certstore")
	require.Empty(t, slices.DeleteFunc(all, func(name string) bool { return !banned.MatchString(name) }))
	require.True(t, slices.ContainsFunc(deps("./certstore/agekeys"), banned.MatchString), "the search finds nothing")
}

// TestModulesInsideUseWhatUsersCan: a module inside the repository may be of another version than this one, so it imports
// what every user can, and nothing of internal/.
func TestModulesInsideUseWhatUsersCan(t *testing.T) {
	here := map[string]bool{}
	for _, p := range loadPackages(t) {
		here[p.dir] = true
	}
	packages, imports := 0, 0
	for _, p := range loadRepository(t) {
		if here[p.dir] {
			continue
		}
		packages++
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				if inside, ok := strings.CutPrefix(name, modulePath+"/"); ok {
					imports++
					require.NotContains(t, strings.Split(inside, "/"), "internal", "%s imports %s", f.path, name)
				}
			}
		}
	}
	require.GreaterOrEqual(t, packages, 1, "packages of modules inside the repository")
	require.GreaterOrEqual(t, imports, 5, "imports of this module by them")
}

func TestImportCheckRefuses(t *testing.T) {
	rules := map[string]importRule{
		"a": {arrows: []string{"b"}, denied: []string{"net"}},
		"k": {kit: true},
		"r": {program: true},
		"b": {arrows: []string{"c"}},
		"c": {},
	}
	good := map[string]string{"a": "a.go", "b": "b.go", "c": "c.go", "k": "k.go", "r": "r.go"}
	const own = modulePath + "/"
	tests := []struct {
		reason, dir, file, imported string
		want                        string
	}{
		{"arrow back", "b", "x.go", own + "a", "b/x.go: the arrow b → a is not in the table"},
		{"arrow over a room", "a", "x.go", own + "c", "a/x.go: the arrow a → c is not in the table"},
		{"a test's arrow back", "b", "x_test.go", own + "a", "b/x_test.go: the arrow b → a is not in the table"},
		{"a package without a rule", "d", "x.go", "fmt", "d: a package without a rule"},
		{"an unlisted module", "a", "x.go", "example.org/m", "a/x.go: a may not import example.org/m"},
		{"a test's module in code", "a", "x.go", testModules[0], "a/x.go: a may not import " + testModules[0]},
		{"an example's module in code", "a", "x.go", exampleModules[0], "a/x.go: a may not import " + exampleModules[0]},
		{"a denied package", "a", "x.go", "net", "a/x.go: imports net, which a does without"},
		{"denied everywhere", "b", "x.go", "unsafe", "b/x.go: imports unsafe: " + deniedEverywhere["unsafe"]},
		{"testing in code", "b", "x.go", "testing", "b/x.go: imports testing: " + deniedEverywhere["testing"]},
		{"testing in a kit for tests", "k", "x.go", "testing", ""},
		{"denied everywhere, in a kit", "k", "x.go", "unsafe", "k/x.go: imports unsafe: " + deniedEverywhere["unsafe"]},
		{"flags of a program", "r", "x.go", "flag", ""},
		{"denied everywhere, in a program", "r", "x.go", "testing", "r/x.go: imports testing: " + deniedEverywhere["testing"]},
		{"an arrow of the table", "a", "x.go", own + "b", ""},
		{"a test's arrow through a room", "a", "x_test.go", own + "c", ""},
		{"a test's module in a test", "a", "x_test.go", testModules[0] + "/sub", ""},
		{"a denied package in a test", "a", "x_test.go", "net", ""},
		{"denied in tests", "a", "x_test.go", "testing/cryptotest", "a/x_test.go: imports testing/cryptotest: " + deniedInTests["testing/cryptotest"]},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			sources := map[string]map[string]string{tt.dir: {tt.file: fmt.Sprintf("package p\nimport _ %q\n", tt.imported)}}
			for dir, name := range good {
				if sources[dir] == nil {
					sources[dir] = map[string]string{}
				}
				sources[dir][name] = "package p\n"
			}
			var packages []*goPackage
			for dir, files := range sources {
				packages = append(packages, mustParse(t, dir, files))
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			require.Equal(t, want, (&importCheck{rules: rules}).run(packages))
		})
	}
	require.Equal(t, []string{"a: a rule without a package"}, (&importCheck{rules: map[string]importRule{"a": {}}}).run(nil))
}
