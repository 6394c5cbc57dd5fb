// Reads a topic from its start with kafkajs and prints each record's value on a line.
const { Kafka, logLevel } = require('kafkajs')

const [broker, topic, count] = process.argv.slice(2)
const consumer = new Kafka({ clientId: 'read-topic', brokers: [broker], logLevel: logLevel.ERROR }).consumer({ groupId: `${topic}-kafkajs` })
let left = Number(count)

async function main() {
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    console.error(payload.error)
    process.exit(1)
  })
  await consumer.run({
    eachMessage: async ({ message }) => {
      process.stdout.write(`${message.value}\n`)
      if (--left === 0) setImmediate(async () => { await consumer.disconnect(); process.exit(0) })
    },
  })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
