// Package postgres keeps readings, anomalies, dead letters and progress in PostgreSQL 15 or later. It owns the schema and
// its migrations, stores batches exactly once (Store), keeps partitions ahead of time, packs and drops old ones (Tables),
// decides anew about dead letters (Replayer), shows one moment of everything stored (Audit), and answers the console's
// questions (Dashboard).
//
// It alone knows SQL, SQLSTATE and pgx: errors leave it as a pipeline.Fault or as plain text. It decides nothing about
// a reading, retries nothing by itself and deletes no reading other than by dropping partitions when told a retention.
//
// A pool and everything made from it may be shared by goroutines. Each Store method is one transaction on one session;
// what keeps two writers of a partition apart is the fence in ingest_progress, never a lock in this process.
//
// On the path of a reading it is the last step: its commit is the only acknowledgement there is.
package postgres
