// Command sendday sends the last 24 hours of one simulated person to a topic, with the Kafka timestamps of those hours. Pictures of
// a customer's day are made with it.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulate"
)

func main() {
	brokers := flag.String("brokers", "localhost:9092", "where the topic is")
	topic := flag.String("topic", "heartbeat-events", "topic of the readings")
	customer := flag.Int("customer", 99_991, "number of the customer")
	seed := flag.Uint64("seed", 1, "of the person")
	flag.Parse()
	if err := send(context.Background(), strings.Split(*brokers, ","), *topic, heartbeat.CustomerID(*customer), *seed); err != nil {
		log.Fatal(err)
	}
}

func send(ctx context.Context, brokers []string, topic string, customer heartbeat.CustomerID, seed uint64) error {
	now := time.Now()
	people, err := simulate.NewPopulation(simulate.PopulationOptions{
		Customers: 1, AnomalyRate: 0.002, Seed: seed, Interval: 5 * time.Second, Start: now.Add(-24 * time.Hour), Zone: time.Local,
		Episodes: simulate.Rates{simulate.Exercise: 2, simulate.Tachycardia: 1},
	})
	if err != nil {
		return err
	}
	sender, err := producer.New(ctx, producer.Config{Config: kafka.Config{Brokers: brokers, Topic: topic, Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return err
	}
	for reading := range people.Readings() {
		if reading.Sent.After(now) {
			break
		}
		reading.Customer = customer
		if err := sender.SendAt(reading.Event, reading.Sent); err != nil {
			return err
		}
	}
	return sender.Close()
}
