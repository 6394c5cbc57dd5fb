// Package app assembles the roles of the product: it connects Kafka, PostgreSQL, the pipeline and the console as each
// role needs them, and stops them in order. It is the only package that knows every adapter.
//
// It refuses to read flags, which cmd does, and to decide anything about a reading. A role is one blocking function that ends with
// its context; several may run in one process, as Up does.
//
// It is not on the path of a reading itself: it assembles the parts that are.
package app
