// Package report holds the results of a benchmark run and writes them: as JSON by their tags, as a table for a terminal, and as
// a Markdown document (performance.md.tmpl). It measures nothing and reads nothing from the machine. A report belongs to one
// goroutine. It stands behind internal/bench, which fills it in.
package report
