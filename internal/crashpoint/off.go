//go:build !crashpoints

package crashpoint

// Reach tells that the process is at the point.
func Reach(Point) {}
