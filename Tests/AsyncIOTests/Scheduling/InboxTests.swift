// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct InboxTests {
  @Test func `L-24: a loop that sleeps is rung for the first entry only`() {
    let inbox = Inbox()
    #expect(inbox.leave(.nothing) == .taken)
    #expect(inbox.take(ReadyQueue()).count == 1)
    #expect(inbox.willSleep())
    #expect(inbox.leave(.nothing) == .mustRing)
    #expect(inbox.leave(.nothing) == .taken)
    inbox.didWake()
    #expect(inbox.leave(.nothing) == .taken)
    #expect(!inbox.isEmpty)
  }

  @Test func `L-23: a loop does not go to sleep over work that came before`() {
    let inbox = Inbox()
    _ = inbox.leave(.nothing)
    #expect(!inbox.willSleep())
    // And it is awake: nobody needs to ring it.
    #expect(inbox.leave(.nothing) == .taken)
    #expect(inbox.take(ReadyQueue()).count == 2)
    #expect(inbox.isEmpty)
    #expect(inbox.willSleep())
  }

  @Test func `L-27: a closed inbox refuses all but jobs`() {
    let inbox = Inbox()
    inbox.close()
    #expect(inbox.isClosed)
    #expect(inbox.leave(.nothing) == .refused)
    #expect(inbox.isEmpty)
    #expect(inbox.leave(.nothing, evenIfClosed: true) == .taken)
    #expect(!inbox.isEmpty)
  }

  @Test func `a queue that was given is the next one that is filled`() {
    let inbox = Inbox()
    let spare = ReadyQueue()
    _ = inbox.leave(.nothing)
    let first = inbox.take(spare)
    #expect(first.count == 1 && first !== spare)
    for _ in 0..<10 { _ = inbox.leave(.nothing) }
    let second = inbox.take(ReadyQueue())
    #expect(second === spare && second.count == 10)
  }

  @Test func `L-24: four threads and a taker that sleeps lose no entry and no ring`() {
    let inbox = Inbox()
    let rings = Shared(0)
    let perThread = 5_000
    let threads = (0..<4).map { _ in
      TestThread {
        for _ in 0..<perThread where inbox.leave(.nothing) == .mustRing { rings.change { $0 += 1 } }
      }
    }
    var got = 0
    while got < 4 * perThread {
      got += inbox.take(ReadyQueue()).count
      let heard = rings.value
      guard got < 4 * perThread, inbox.willSleep() else { continue }
      // The wait of a loop: it ends by a ring, and by nothing else. A lost one hangs here.
      while rings.value == heard {}
      inbox.didWake()
    }
    for thread in threads { thread.join() }
    #expect(got == 4 * perThread)
  }
}
