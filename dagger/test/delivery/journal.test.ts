import { expect, it } from "vitest"
import { AuditLog } from "../../src/delivery/audit.js"
import { longestMessage, type Notification } from "../../src/delivery/events/event.js"
import { Notifier } from "../../src/delivery/events/notifier.js"
import { Journal } from "../../src/delivery/journal.js"
import { FakeCluster } from "../clients/kubernetes/fake.js"
import { FakeClock } from "../lib/fake-clock.js"

it("keeps and sends texts of bounded length, such as a crash log that a message quotes", async () => {
  const cluster = new FakeCluster(new FakeClock())
  const sent: Notification[] = []
  const send = (event: Notification) => Promise.resolve(void sent.push(event))
  const audit = new AuditLog(cluster.client(), "f1-staging")
  const notifier = new Notifier([{ name: "sink", send }])
  const now = () => cluster.now()
  const journal = new Journal({ environment: "staging", by: "ada", operation: "op", audit, notifier, now })
  const long = "x".repeat(200_000)
  await journal.record({
    kind: "started",
    component: { kind: "backend", name: "api" },
    message: long,
    reason: long,
    overridden: { guards: ["hours"], reason: long },
  })
  await notifier.flush()
  const [kept] = (await audit.read()).events
  for (const event of [kept, sent[0]]) {
    for (const text of [event?.message, event?.reason, event?.overridden?.reason])
      expect(text).toHaveLength(longestMessage)
  }
})
