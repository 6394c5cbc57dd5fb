// Package ingestapi is the HTTP API by which devices, gateways and phone apps send readings: POST /api/v1/readings. It authenticates
// the device, reads the body within limits, validates each reading as the consumer will, writes the valid ones to the topic and answers
// once all in-sync replicas have them.
//
// It stores nothing and asks no database on the way of a reading: tokens are in memory, and what was acknowledged is in the topic. It
// never answers success for a reading whose outcome it does not know. It refuses a request before memory grows beyond its budget.
//
// A Server may be used by any number of requests at a time; each is decoded by its own goroutine. It is the first step on the path of
// a reading, before the topic.
package ingestapi
