package microtrust_test

import "slices"

// importRule says what the code of one package may import. Beyond it, tests may import what the package can reach through
// its arrows, what only tests use, and testModules.
type importRule struct {
	arrows  []string // packages of this module, as directories
	modules []string // modules of others; each must be used
	tests   []string // modules of others that the tests of this package alone may import; each must be used
	denied  []string // packages of the standard library that the room has promised to do without
	kit     bool     // it is imported by tests, of this module and of users, and may import testing and start programs
	program bool     // whoever works on the library runs it: it may have flags and start programs
}

var (
	noNetwork = []string{"net", "net/http", "crypto/tls"}
	noFiles   = []string{"os", "io/ioutil", "path/filepath"}
	noInput   = slices.Concat(noNetwork, noFiles)
	// noDice keeps predictable numbers away from where secrets are made.
	noDice = []string{"math/rand", "math/rand/v2"}
)

// importRules has one entry per package, by directory. Arrows point from the hall down and never back.
var importRules = map[string]importRule{
	".": {},

	"internal/redact":            {denied: slices.Concat(noInput, noDice)},
	"internal/redact/redacttest": {denied: slices.Concat(noInput, noDice)},

	// what people write; whoever reads no such file links no YAML
	"internal/strictyaml": {modules: []string{"go.yaml.in/yaml/v4"}, denied: slices.Concat(noInput, noDice)},

	"internal/contain": {denied: slices.Concat(noNetwork, noDice)},

	"internal/lantest": {denied: []string{"net/http", "crypto/tls"}, kit: true},

	// connections in memory
	"internal/pipe": {denied: []string{"net/http", "crypto/tls"}, kit: true},

	"internal/mutants": {denied: noNetwork, program: true},
	"internal/abuse":   {arrows: []string{"trust", "session", "hmacauth", "certstore"}, denied: noDice, program: true},

	// what a crash leaves of files
	"internal/disk": {denied: slices.Concat(noNetwork, noDice)},

	"internal/wire": {denied: slices.Concat(noInput, noDice)},
	"internal/cpace": {
		arrows:  []string{"internal/redact"},
		modules: []string{"github.com/bwesterb/go-ristretto"},
		denied:  slices.Concat(noInput, noDice),
	},
	"ratelimit": {modules: []string{"go.uber.org/ratelimit"}, denied: noInput},

	"events": {arrows: []string{"ratelimit", "internal/contain"}, denied: slices.Concat(noInput, noDice)},
	// expvar is denied because it adds a handler to net/http's default mux when it is imported
	"metrics": {arrows: []string{"events", "internal/contain"}, denied: slices.Concat(noInput, noDice, []string{"expvar"})},

	"discovery": {
		arrows:  []string{"certstore", "ratelimit", "internal/contain", "internal/wire"},
		modules: []string{"golang.org/x/net"}, // multicast per interface, and on which one a datagram came
		denied:  slices.Concat([]string{"net/http", "crypto/tls"}, noFiles, noDice),
	},

	"hmacauth": {
		arrows:  []string{"internal/cpace", "internal/redact", "internal/wire"},
		modules: []string{"github.com/sethvargo/go-diceware", "golang.org/x/text"},
		denied:  slices.Concat(noInput, noDice),
	},
	// a package of its own, so that nobody else links Argon2id
	"hmacauth/microcloud": {
		arrows:  []string{"internal/redact"},
		modules: []string{"golang.org/x/crypto"},
		denied:  slices.Concat(noInput, noDice),
	},
	"certstore": {
		arrows:  []string{"internal/disk", "internal/wire"},
		modules: []string{"github.com/gofrs/flock", "github.com/sethvargo/go-diceware", "golang.org/x/crypto"},
		denied:  noDice,
	},
	"certstore/certstoretest": {arrows: []string{"certstore"}, denied: slices.Concat(noInput, noDice), kit: true},
	// a package of its own, so that nobody else links YAML
	"certstore/memberfiles": {
		arrows:  []string{"certstore", "internal/disk", "internal/strictyaml"},
		modules: []string{"go.yaml.in/yaml/v4"},
		denied:  slices.Concat(noNetwork, noDice),
	},
	"certstore/agekeys": {
		arrows:  []string{"certstore", "internal/redact"},
		modules: []string{"filippo.io/age"},
		denied:  slices.Concat(noInput, noDice),
	},
	"certstore/sqlstore": {
		arrows: []string{"certstore", "internal/contain"},
		tests:  []string{"modernc.org/sqlite"}, // a driver, which who uses the package chooses for itself
		denied: noInput,
	},
	"session": {
		arrows: []string{"certstore", "hmacauth", "internal/wire"},
		denied: slices.Concat(noInput, noDice),
	},
	"invitation": {
		arrows: []string{"hmacauth", "certstore", "internal/wire"},
		denied: slices.Concat(noInput, noDice),
	},
	"internal/microcloudwire": {
		arrows: []string{"certstore", "internal/wire"},
		denied: slices.Concat(noInput, noDice),
	},
	"trust": {
		arrows: []string{
			"session", "invitation", "hmacauth", "hmacauth/microcloud", "certstore", "ratelimit", "internal/wire", "internal/microcloudwire",
			"events", "metrics", "internal/contain",
		},
		denied: noFiles,
	},

	"trust/trusttest": {arrows: []string{"trust", "session", "invitation", "hmacauth", "certstore", "internal/pipe"}, kit: true},

	"unattended": {
		arrows: []string{"trust", "session", "hmacauth", "certstore", "ratelimit", "discovery", "internal/strictyaml", "internal/wire"},
		denied: slices.Concat(noNetwork, noDice),
	},

	// tests alone: an attacker, and what must hold in every state
	"docs/model": {arrows: []string{"trust", "session", "hmacauth", "certstore", "ratelimit"}},

	"examples/internal/terminal": {arrows: []string{"trust", "session", "invitation", "hmacauth", "hmacauth/microcloud", "certstore"}},

	"examples/internal/serving": {arrows: []string{"trust", "certstore"}},

	"examples/internal/client":       exampleRule,
	"examples/internal/server":       exampleRule,
	"examples/internal/terminaltest": {},
	// tests alone: a peer of the older format, and the programs that meet it
	"examples/internal/microcloudpeer": {arrows: []string{"examples/internal/client", "examples/internal/server"}},

	"examples/quickstart": exampleRule,
	"examples/joinserver": exampleRule,
	"examples/joinclient": exampleRule,
	"examples/embed":      exampleRule,
	"examples/joinall":    {arrows: []string{"unattended", "trust", "certstore", "examples/internal/terminal", "examples/internal/serving"}},
	"examples/adopt":      {arrows: slices.Concat(exampleRule.arrows, []string{"certstore/memberfiles", "hmacauth/microcloud"})},
	"examples/trustctl":   {arrows: []string{"trust", "session", "invitation", "certstore", "certstore/agekeys", "certstore/memberfiles", "examples/internal/terminal"}},
}

// exampleRule: examples use what every user can use, and nothing of internal/; what they share is in a package of theirs.
var exampleRule = importRule{
	arrows: []string{"trust", "session", "invitation", "hmacauth", "hmacauth/microcloud", "certstore", "ratelimit", "discovery", "events", "metrics", "examples/internal/terminal", "examples/internal/serving", "examples/internal/client", "examples/internal/server"},
}

// testModules may be imported by test files alone.
var testModules = []string{
	"github.com/bwesterb/go-ristretto", // second implementations of the key exchange
	"github.com/google/go-cmp",
	"github.com/stretchr/testify",
	"go.uber.org/goleak",
	"golang.org/x/crypto", // Argon2id, which benchmarks compare with
	"pgregory.net/rapid",
}

// exampleModules may be imported by examples alone.
var exampleModules = []string{
	"golang.org/x/term", // a passphrase that is typed and not shown
}

// testPackages are packages of this module that nothing but tests may import.
var testPackages = []string{"certstore/certstoretest", "examples/internal/terminaltest", "internal/lantest", "internal/pipe", "internal/redact/redacttest", "trust/trusttest"}

// deniedEverywhere are packages of the standard library that no code of the module may import.
var deniedEverywhere = map[string]string{
	"C":         "the module is pure Go",
	"flag":      "flags belong to programs; examples are exempt",
	"log":       "logging goes through the slog.Logger that the embedder passes in",
	"os/exec":   "a library starts no programs",
	"plugin":    "a library loads no code",
	"testing":   "only tests",
	"unsafe":    "memory safety is part of the promise",
	"net/rpc":   "not used",
	"io/ioutil": "deprecated",
}

// deniedInTests are packages of the standard library that no test may import either.
var deniedInTests = map[string]string{
	"testing/cryptotest": "it replaces what the goroutines of other tests read",
}
