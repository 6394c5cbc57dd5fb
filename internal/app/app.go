// Package app assembles the roles of the product: it connects Kafka, PostgreSQL, the pipeline and the console as each
// role needs them, and stops them in order. It is the only package that knows every adapter.
//
// It refuses to read flags or the environment, which is cmd's business, and to decide anything about a reading. A role is
// one blocking function that ends with its context; several may run in one process, as Up does.
//
// On the path of a reading it stands aside: it puts the pieces together that a reading passes through.
package app
