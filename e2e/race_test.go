//go:build race

package e2e_test

// raceDetector builds the product as the tests are built.
const raceDetector = true
