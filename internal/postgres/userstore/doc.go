// Package userstore keeps the console's users, their sessions and the audit of reads in PostgreSQL.
//
// It refuses to see a password: it stores and returns hashes that internal/users makes and checks. It also refuses to cache: every
// call asks the database, so that all consoles agree. Writes name their mode, because a role such as heartbeat_dashboard has
// read-only sessions by default.
//
// A Store may be shared. It stands outside the path of a reading.
package userstore
