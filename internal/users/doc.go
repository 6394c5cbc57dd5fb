// Package users is the vocabulary of people and roles: who may use the console, what each role may do, and how a password is
// checked and hashed. An Actor travels in a request's context, so that every action can name who did it.
//
// It refuses to store or to look up anybody: internal/postgres/userstore does, and internal/auth decides who sent a request. Its values
// are immutable and may be shared. It stands outside the path of a reading.
package users
