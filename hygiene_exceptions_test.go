package microtrust_test

// Exceptions from the checks of hygiene_test.go: what is excepted, and why. An exception that is no longer needed fails its
// check.
var (
	// longFiles: path of the file.
	longFiles = exceptions{}

	// longFunctions: path of the file, colon, name of the function, with its receiver's type if it has one.
	longFunctions = exceptions{}

	// packageVariables: path of the directory, dot, name of the variable. Errors need no entry. What stands here is written
	// once, when the program starts, and only read from then on.
	packageVariables = exceptions{}

	// sleeps: path of the file, colon, name of the function that sleeps.
	sleeps = exceptions{}
)
