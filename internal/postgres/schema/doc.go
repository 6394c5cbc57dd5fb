// Package schema owns the tables, views and roles of the database: numbered migrations that are embedded in the binary, the check
// that a database has the version of this binary, and the grants of each role.
//
// It refuses to go back to an earlier version, to run on a database whose migrations differ from its own, and to touch rows.
//
// Advisory locks let one process migrate at a time; all functions may be called by any number of processes.
//
// It runs before a reading's path begins: at migrate, and as a check at the start of each role.
package schema
